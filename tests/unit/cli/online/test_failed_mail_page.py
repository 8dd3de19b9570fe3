"""What the page on failed mail shows of each command is what the command prints."""

import pytest

from kit import queues, repository
from mailtier.cli import terminal
from mailtier.cli.online import filed
from mailtier.sender.between import filing

_PLAIN = terminal.Painter(on=False)
_ITEM = {
    "id": "01a21045-bd65-75f1-9076-80e04c16bfce",
    "organization": "default",
    "category": "JobAlert",
    "acceptedAt": "2026-11-24T01:15:35.653Z",
    "expiresAt": "2026-11-25T01:15:35.653Z",
    "complete": True,
    "recipients": [
        {
            "address": "ops@mail.example.com",
            "state": "failed",
            "reason": "RecipientRefused",
            "message": "550 5.1.1 <ops@mail.example.com>: user unknown",
            "attempts": 1,
        },
        {
            "address": "lead@mail.example.com",
            "state": "accepted",
            "reason": "",
            "message": "250 2.0.0 OK",
            "attempts": 1,
        },
    ],
    "textKeptUntil": "2026-12-01T01:15:35.653Z",
}
_OTHER = {**_ITEM, "id": "01a21045-6d0f-7c3e-9b51-0d8f6a1c2e34", "recipients": _ITEM["recipients"][:1]}
_SUPPRESSED = {
    "organization": "default",
    "address": "somebody@example.com",
    "refusedAt": "2026-11-24T01:15:35Z",
    "until": "2026-12-01T01:15:35Z",
}
_REFUSAL = {"detail": str(filing.nothing_failed(queues.LANE, unfinished=0))}


@pytest.mark.parametrize(
    ("command", "lines"),
    [
        (
            "list acme --state failed",
            filed.table([_ITEM, _OTHER], _PLAIN, width=200, wanted=filed.FiledFilter(state="failed")),
        ),
        (f"show acme {_ITEM['id']}", filed.details(_ITEM, _PLAIN, width=None, namespace="acme")),
        (
            f"retry acme {_ITEM['id']} {_OTHER['id']}",
            [
                filed.outcome({"id": _ITEM["id"], "status": 200}, "sent again"),
                filed.outcome({"id": _OTHER["id"], "status": 409, "problem": _REFUSAL}, "sent again"),
            ],
        ),
        ("suppressions list acme", filed.suppressed([_SUPPRESSED], _PLAIN, width=80)),
        (f"drop acme {_ITEM['id']}", [filed.outcome({"id": _ITEM["id"], "status": 200}, "dropped")]),
        ("release acme/sales", [f"acme/sales   {filed.release({'waiting': True, 'hastened': 3, 'triesLogin': True})}"]),
    ],
    ids=lambda value: value.split()[0] if isinstance(value, str) else "",
)
def test_the_page_shows_what_is_printed(command: str, lines: list[str]) -> None:
    """Whoever compares a terminal with the page finds the same columns, words and times in both."""
    page = (repository.ROOT / "docs/how-to/failed-mail.md").read_text(encoding="utf-8")
    assert "\n".join((f"$ mailtier queue {command}", *lines, "")) in page
