"""Lists of what is queued and what failed, and what becomes of acts on them, for people and for programs."""

import collections
import dataclasses
import datetime as dt
import difflib
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Final

from mailtier.api import prose, vocabulary
from mailtier.cli import tables, terminal
from mailtier.cli.online import intake
from mailtier.mail import reasons
from mailtier.mail import states as recipient_states

_AT_ONCE: Final = 100
"""What one request names at most."""
_OK: Final = 200
_S: Final = vocabulary.RecipientState
_COLOURS: Final = {
    _S.ACCEPTED.value: terminal.Colour.GOOD,
    _S.FAILED.value: terminal.Colour.BAD,
    _S.EXPIRED.value: terminal.Colour.BAD,
    _S.SUPPRESSED.value: terminal.Colour.BAD,
}
_AGAIN: Final = {state.value for state in recipient_states.FAILURES}
_HEAD: Final = ("ID", "ORGANIZATION", "TAKEN", "STATE", "REASON", "TO")
_SUPPRESSED_HEAD: Final = ("ORGANIZATION", "ADDRESS", "REFUSED", "UNTIL")
_FOLDED: Final = ("ORGANIZATION", "TO", "REASON")

_Json = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FiledFilter:
    """Which notifications a command speaks of, as its options say; "" asks for nothing."""

    state: str = ""
    reason: str = ""
    organization: str = ""
    destination: str = ""
    older_than: str = ""

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the list."""
        found = {
            "state": self.state,
            "reason": self.reason,
            "organization": self.organization,
            "destination": self.destination,
            "olderThan": self.older_than,
        }
        return {name: value for name, value in found.items() if value}

    def __bool__(self) -> bool:
        return bool(self.query)

    def __str__(self) -> str:
        options = {"--state": self.state, "--reason": self.reason, "--organization": self.organization}
        options |= {"--destination": self.destination, "--older-than": self.older_than}
        return " ".join(f"{option} {value}" for option, value in options.items() if value)


_NO_FILTER: Final = FiledFilter()


async def listed(asked: intake.IntakeClient, namespace: str, wanted: FiledFilter) -> AsyncIterator[_Json]:
    """Yield a namespace's notifications, the latest first, page by page.

    Raises:
        RefusedError: They are not told.
        UnreachableError: The intake cannot be asked.
    """
    following: str | None = ""
    while following is not None:
        query = {**wanted.query, "limit": str(_AT_ONCE), **({"continue": following} if following else {})}
        items, following = await asked.page(namespace, query)
        for item in items:
            yield item


async def act(asked: intake.IntakeClient, action: str, namespace: str, ids: Sequence[str]) -> list[_Json]:
    """Return what became of each notification.

    Raises:
        RefusedError: It is not done; what was before it is.
        UnreachableError: As above.
    """
    results = list[_Json]()
    for first in range(0, len(ids), _AT_ONCE):
        results += await asked.act(action, namespace, ids[first : first + _AT_ONCE])
    return results


def is_retryable(item: Mapping[str, Any]) -> bool:
    """Return whether something of a notification can be sent again."""
    states = {each["state"] for each in item["recipients"]}
    return bool(item.get("textKeptUntil")) or (not item.get("complete") and bool(states & _AGAIN))


def is_droppable(item: Mapping[str, Any]) -> bool:
    """Return whether something of a notification can be dropped."""
    return bool(item.get("textKeptUntil")) or not item.get("complete")


def table(
    items: Sequence[Mapping[str, Any]], painter: terminal.Painter, *, width: int, wanted: FiledFilter = _NO_FILTER
) -> list[str]:
    """Return a list for people; without the organization where it is the same of all.

    Args:
        items: Notifications.
        painter: Colours, or does not.
        width: Characters of a line.
        wanted: By what they were found: of each, the recipient that fits is shown.
    """
    is_of_one = len({str(item["organization"]) for item in items}) == 1
    body = [_row(item, wanted, names_organization=not is_of_one) for item in items]
    return tables.table(_HEAD, body, painter, width=width, folded=_FOLDED, whole=("REASON", "STATE"))


def details(item: Mapping[str, Any], painter: terminal.Painter, *, width: int | None, namespace: str) -> list[str]:
    """Return a notification of a namespace for people, with everything that is known of its recipients.

    Where a server's answer holds it, it says how to find out what to do.
    """
    title = [item["id"], item["organization"], item["category"], f"taken {item['acceptedAt']}"]
    if expires_at := item.get("expiresAt"):
        title.append(f"expires {expires_at}")
    lines = ["   ".join(map(terminal.plain, title))]
    for each in item["recipients"]:
        told = ": ".join(filter(None, (each["reason"], each["message"])))
        attempts = prose.counted(int(each.get("attempts", 0)), "attempt")
        if next_at := each.get("nextAttemptAt"):
            attempts += f", the next at {terminal.plain(str(next_at))}"
        parts = (
            (f"{terminal.plain(each['address'])}   ", None),
            (terminal.plain(each["state"]), _COLOURS.get(each["state"])),
            (f"   {attempts}   {terminal.plain(told)}", None),
        )
        lines += tables.line(parts, painter, width=width, indent="  ", following="    ")
    if any(each["state"] == _S.HELD and each.get("lastFailure") for each in item["recipients"]):
        whose = terminal.plain(f"{namespace}/{item['organization']}")
        told = f"What to do: `mailtier verify {whose}`. Once it is fixed: `mailtier queue release {whose}`."
        lines += tables.line(((told, None),), painter, width=width, indent="  ", following="    ")
    if until := item.get("textKeptUntil"):
        lines.append(f"  It can be sent again until {terminal.plain(str(until))}.")
    return lines


def suppressed(items: Iterable[Mapping[str, Any]], painter: terminal.Painter, *, width: int) -> list[str]:
    """Return a list of addresses that nothing is sent to, for people."""
    rows = [
        [(str(each["organization"]), None), (str(each["address"]), None)]
        + [(_taken(str(each[name])), None) for name in ("refusedAt", "until")]
        for each in items
    ]
    return tables.table(_SUPPRESSED_HEAD, rows, painter, width=width, folded=("ORGANIZATION", "ADDRESS"))


def outcome(result: Mapping[str, Any], done: str) -> str:
    """Return in a line what became of a notification."""
    if is_done(result):
        return f"{terminal.plain(result['id'])}   {done}"
    problem = result.get("problem")
    told = problem.get("detail") if isinstance(problem, dict) else f"status {result.get('status')}"
    return f"{terminal.plain(result['id'])}   not {done}: {terminal.plain(str(told))}"


def release(released: Mapping[str, Any]) -> str:
    """Return what came of a release."""
    if held := released.get("held"):
        return f"still held: {held['reason']}: {held['message']}"
    if not released["waiting"]:
        return "nothing waits"
    told = ["released"]
    if hastened := released.get("hastened"):
        told.append(f"{prose.counted(int(hastened), 'deferred recipient')} tried now")
    if released.get("triesLogin"):
        told.append("the login that was refused is tried once more")
    return "; ".join(told)


def unknown_reason(reason: str) -> str:
    """Return what is wrong with a word for a recipient's reason; "" where it is one."""
    known = [each.value for each in reasons.DeliveryReason]
    if reason in known:
        return ""
    near = difflib.get_close_matches(reason, known, n=1)
    meant = f"; did you mean {near[0]}?" if near else "."
    return (
        f"no recipient has the reason {reason!r}{meant} A list without it shows which there are; the status of settings"
        " has reasons of its own"
    )


def is_done(result: Mapping[str, Any]) -> bool:
    """Return whether it was done."""
    return result.get("status") == _OK


def as_json(document: object) -> str:
    """Return a document for programs."""
    return json.dumps(document, indent=2, ensure_ascii=False)


def _row(item: Mapping[str, Any], wanted: FiledFilter, *, names_organization: bool) -> Sequence[tables.Cell]:
    # Whoever asked for some sees those first.
    recipients = sorted(
        item["recipients"],
        key=lambda each: (wanted.state not in {"", each["state"]}, wanted.reason not in {"", each["reason"]}),
    )
    states = collections.Counter(str(each["state"]) for each in recipients)
    told = ", ".join(state if len(recipients) == 1 else f"{count} {state}" for state, count in states.items())
    reasons = ", ".join(dict.fromkeys(str(each["reason"]) for each in recipients if each["reason"]))
    more = f" and {len(recipients) - 1} more" if len(recipients) > 1 else ""
    return (
        (str(item["id"]), None),
        (str(item["organization"]) if names_organization else "", None),
        (_taken(str(item["acceptedAt"])), None),
        (told, _COLOURS.get(next(iter(states)), terminal.Colour.WAITING) if len(states) == 1 else None),
        (reasons, None),
        (f"{recipients[0]['address']}{more}" if recipients else "", None),
    )


def _taken(at: str) -> str:
    """Return a time to the minute."""
    try:
        found = dt.datetime.fromisoformat(at)
    except ValueError:
        return at
    return found.strftime("%m-%d %H:%MZ")
