"""What is said of a failure, and to whom."""

import dataclasses

from mailtier.mail import classify, replies
from mailtier.sender.net import faults


def test_what_an_entry_of_the_owner_s_decided_is_said_to_the_owner_alone() -> None:
    """A reply that contradicts its reason is explained; others are not told how the endpoint is set up (R7)."""
    (reply,) = replies.ReplyParser().receive(b"450 4.2.1 Later\r\n")
    judged = classify.classify_reply(classify.Phase.RCPT, reply)
    decided = dataclasses.replace(judged, decided_by="delivery.replies[2] (Fail)")
    assert faults.describe(decided, for_owner=True).endswith(" So decides delivery.replies[2] (Fail).")
    assert "delivery.replies" not in faults.describe(decided, for_owner=False)
    assert "So decides" not in faults.describe(judged, for_owner=True)
