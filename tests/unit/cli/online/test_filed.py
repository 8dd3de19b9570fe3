"""Lists of what is queued, for people."""

import typing

import pytest

from mailtier.cli import terminal
from mailtier.cli.online import filed

_PLAIN = terminal.Painter(on=False)


def _item(**changes: object) -> dict[str, typing.Any]:
    recipient = {"address": "ops@mail.example.com", "state": "failed", "reason": "RecipientRefused", "message": "M."}
    usual = {
        "id": "01a21045-bd65-75f1-9076-80e04c16bfce",
        "organization": "default",
        "category": "JobAlert",
        "acceptedAt": "2026-11-24T01:15:35.653Z",
        "complete": True,
        "recipients": [recipient],
        "textKeptUntil": "2026-12-01T01:15:35.653Z",
    }
    return {**usual, **changes}


@pytest.mark.parametrize(
    ("released", "told"),
    [
        ({"waiting": False}, "nothing waits"),
        ({"waiting": True}, "released"),
        ({"waiting": True, "hastened": 1}, "released; 1 deferred recipient tried now"),
        (
            {"waiting": True, "hastened": 2, "triesLogin": True},
            "released; 2 deferred recipients tried now; the login that was refused is tried once more",
        ),
        ({"waiting": True, "held": {"reason": "R", "message": "M."}}, "still held: R: M."),
    ],
)
def test_what_came_of_a_release_is_told(released: dict[str, typing.Any], told: str) -> None:
    """Also how many recipients that were deferred until later are tried now."""
    assert filed.release(released) == told


@pytest.mark.parametrize("recipients", [1, 20])
def test_a_list_fits_80_columns(recipients: int) -> None:
    """However long names are, ids can be copied, and state and reason are read."""
    (one,) = _item()["recipients"]
    item = _item(organization="o" * 50, recipients=[{**one, "address": f"{'a' * 60}@example.com"}] * recipients)
    lines = filed.table([item, _item()], _PLAIN, width=80)
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert all(each in text for each in (item["id"], "failed", "RecipientRefused"))


@pytest.mark.parametrize(
    ("changes", "retryable", "droppable"),
    [
        ({}, True, True),
        ({"textKeptUntil": None}, False, False),
        ({"textKeptUntil": None, "complete": False}, True, True),
        ({"textKeptUntil": None, "complete": False, "recipients": [{"state": "queued"}]}, False, True),
    ],
)
def test_what_can_be_done(changes: dict[str, object], *, retryable: bool, droppable: bool) -> None:
    """What is wiped is neither sent again nor dropped; what waits is dropped only."""
    item = _item(**changes)
    assert (filed.is_retryable(item), filed.is_droppable(item)) == (retryable, droppable)


def test_when_it_is_tried_again_is_shown() -> None:
    """And until when: what a person looks for first where something waits."""
    waiting = {"address": "a@b", "state": "deferred", "reason": "R", "message": "M.", "attempts": 2}
    item = _item(
        complete=False,
        expiresAt="2026-11-25T01:15:35.653Z",
        recipients=[{**waiting, "nextAttemptAt": "2026-11-24T01:20:00.000Z"}, waiting],
    )
    title, first, second, *_ = filed.details(item, _PLAIN, width=None, namespace="acme")
    assert title.endswith("expires 2026-11-25T01:15:35.653Z")
    assert "2 attempts, the next at 2026-11-24T01:20:00.000Z" in first
    assert "2 attempts   R" in second


@pytest.mark.parametrize("width", [80, 100])
def test_reasons_of_a_list_can_be_copied(width: int) -> None:
    """No reason is cut within the word, however many recipients there are; what is the same of all is left out."""
    (one,) = _item()["recipients"]
    named = ("AddressSuppressed", "RecipientUnavailable", "AuthenticationUnavailable")
    items = [
        _item(recipients=[{**one, "address": f"user{number}@juno.example", "reason": each} for number in range(2)])
        for each in named
    ]
    items.append(_item(recipients=[{**one, "reason": each} for each in named]))
    text = "\n".join(filed.table(items, _PLAIN, width=width))
    assert max(map(len, text.splitlines())) <= width
    assert all(text.count(each) == 2 for each in named)
    assert "ORGANIZATION" not in text
    assert "ORGANIZATION" in "\n".join(filed.table([*items, _item(organization="sales")], _PLAIN, width=width))


def test_a_list_shows_the_recipient_that_was_asked_for() -> None:
    """Of a notification to several, whoever filters sees which one it is about."""
    (one,) = _item()["recipients"]
    item = _item(
        recipients=[{**one, "address": "good@x.org", "state": "accepted", "reason": ""}, {**one, "address": "b@x.org"}]
    )
    for wanted in (filed.FiledFilter(state="failed"), filed.FiledFilter(reason="RecipientRefused")):
        assert "b@x.org and 1 more" in "\n".join(filed.table([item], _PLAIN, width=200, wanted=wanted))
    assert "good@x.org and 1 more" in "\n".join(filed.table([item], _PLAIN, width=200))


@pytest.mark.parametrize(("failure", "expected"), [({"lastFailure": {"scope": "Credentials"}}, 1), ({}, 0)])
def test_what_a_server_holds_says_where_to_look(failure: dict[str, object], expected: int) -> None:
    """With commands that are run as they stand; nothing where settings hold it, whose message says what to do."""
    held = {"address": "a@b", "state": "held", "reason": "CredentialsRefused", "message": "M.", **failure}
    shown = "\n".join(filed.details(_item(recipients=[held]), _PLAIN, width=None, namespace="acme"))
    assert shown.count("`mailtier verify acme/default`") == expected
    assert shown.count("`mailtier queue release acme/default`") == expected


def test_what_a_server_says_is_no_command_to_the_terminal() -> None:
    """Controls in what the intake answers are blanks (R5)."""
    item = _item(recipients=[{"address": "a@b", "state": "failed\x1b[2J", "reason": "R", "message": "\x1b]0;x\x07"}])
    shown = [*filed.table([item], _PLAIN, width=80), *filed.details(item, _PLAIN, width=80, namespace="acme")]
    assert all("\x1b" not in line and "\x07" not in line for line in shown)
