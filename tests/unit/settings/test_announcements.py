"""Which changes of conditions are worth an Event."""

from typing import Any

import pytest

from mailtier.settings import announcements

READY, BROKEN, WAITING = ("True", "Published"), ("False", "SecretNotBound"), ("False", "SecretNotFound")


def _conditions(ready: tuple[str, str] | None, verified: tuple[str, str] | None = None) -> list[dict[str, Any]]:
    return [
        {"type": type_, "status": found[0], "reason": found[1], "message": "m" * 2000, "lastTransitionTime": "t"}
        for type_, found in (("Ready", ready), ("Verified", verified))
        if found is not None
    ]


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (None, READY, []),
        (None, BROKEN, [(True, "SecretNotBound")]),
        (None, WAITING, []),
        (READY, WAITING, [(True, "SecretNotFound")]),
        (WAITING, BROKEN, [(True, "SecretNotBound")]),
        (BROKEN, BROKEN, []),
        (BROKEN, READY, [(False, "Published")]),
        (READY, ("True", "Suspended"), []),
    ],
)
def test_ready_is_told_when_it_changes(
    before: tuple[str, str] | None, now: tuple[str, str], told: list[tuple[bool, str]]
) -> None:
    """What is well from the beginning is no news, and neither is what is on its way."""
    found = list(announcements.of(_conditions(before), _conditions(now)))
    assert [(event.is_warning, event.reason) for event in found] == told
    assert all(len(event.note) == announcements.MAXIMUM_NOTE_BYTES for event in found)


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (("Unknown", "ProbePending"), ("True", "Verified"), []),
        (("Unknown", "ProbePending"), ("False", "TlsFailed"), [(True, "TlsFailed")]),
        (("True", "Verified"), ("Unknown", "ProbePending"), []),
        (("False", "TlsFailed"), ("True", "Verified"), [(False, "Verified")]),
    ],
)
def test_verified_is_told_when_it_fails_and_when_it_is_mended(
    before: tuple[str, str], now: tuple[str, str], told: list[tuple[bool, str]]
) -> None:
    """What is not known yet is not told."""
    found = announcements.of(_conditions(READY, before), _conditions(READY, now))
    assert [(event.is_warning, event.reason) for event in found] == told


@pytest.mark.parametrize("text", ["あ" * 400, "é" * 600, "📧" * 256, "a" + "📧" * 300, "short"])
def test_a_note_is_cut_by_its_encoded_length(text: str) -> None:
    """The API server counts bytes of UTF-8, and no character is halved."""
    (condition,) = _conditions(BROKEN)
    (event,) = announcements.of([], [{**condition, "message": text}])
    assert text.startswith(event.note)
    left = len(event.note.encode()), len(text[: len(event.note) + 1].encode())
    assert left[0] <= announcements.MAXIMUM_NOTE_BYTES
    assert event.note == text or left[1] > announcements.MAXIMUM_NOTE_BYTES


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (("False", "Delivering"), ("True", "Delivered"), []),
        (None, ("False", "Delivering"), []),
        (None, ("False", "SenderUnavailable"), []),
        (("False", "SenderUnavailable"), ("False", "QuotaExceeded"), []),
        (("False", "SenderUnavailable"), ("False", "Delivering"), []),
        (None, ("False", "NoRecipients"), [(True, "NoRecipients")]),
        (("False", "Delivering"), ("False", "Failed"), [(True, "Failed")]),
        (("False", "Delivering"), ("False", "PartlyFailed"), [(True, "PartlyFailed")]),
        (("False", "Failed"), ("False", "Failed"), []),
    ],
)
def test_of_a_notification_only_its_failure_is_told(
    before: tuple[str, str] | None, now: tuple[str, str], told: list[tuple[bool, str]]
) -> None:
    """What is delivered, and what still may be, is in its status alone."""
    found = announcements.of_notification(_conditions(before), _conditions(now))
    assert [(event.is_warning, event.reason) for event in found] == told
