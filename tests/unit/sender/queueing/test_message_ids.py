"""Message-IDs are unique, and say whose message it is."""

import dataclasses

from kit import attempts
from mailtier.sender.queueing import message_ids


def test_recipients_have_message_ids_of_their_own() -> None:
    """No two recipients of one notification share a Message-ID, and a recipient has the same one each time."""
    job = dataclasses.replace(attempts.JOB, notification_id="01JQ", recipient_number=7)
    other = dataclasses.replace(job, recipient_number=8)
    moved = dataclasses.replace(job, recipient_number=1_031, id_number=7)
    ids = [message_ids.message_id(each, domain="example.com") for each in (job, other, moved)]
    assert ids == ["01JQ.7@example.com", "01JQ.8@example.com", "01JQ.7@example.com"]
