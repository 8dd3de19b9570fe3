"""Message-IDs are unique, and say whose message it is."""

from mailtier.sender.queueing import message_ids


def test_recipients_have_message_ids_of_their_own() -> None:
    """No two recipients of one notification share a Message-ID, and a recipient has the same one each time."""
    first, second = (message_ids.message_id("01JQ", number, domain="example.com") for number in (7, 8))
    assert (first, second) == ("01JQ.7@example.com", "01JQ.8@example.com")
