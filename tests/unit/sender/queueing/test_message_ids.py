"""The Message-ID of a message."""

from mailtier.sender.queueing import message_ids


def test_a_message_id_is_made_from_what_never_changes() -> None:
    """The same recipient of the same notification always has the same one, and no other recipient has it."""
    assert message_ids.message_id("01JQ", 7) == "01JQ.7@mailtier.dev"
    assert message_ids.message_id("01JQ", 7) == message_ids.message_id("01JQ", 7)
    assert len({message_ids.message_id(id_, number) for id_ in ("01JQ", "01JR") for number in (7, 8)}) == 4
