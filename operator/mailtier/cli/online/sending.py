"""Following a notification from its acceptance to its end."""

import asyncio
import dataclasses
import json
from collections.abc import Callable, Container, Mapping
from typing import Any, Final

from mailtier.api import vocabulary
from mailtier.cli import failures, tables, terminal
from mailtier.cli.online import intake, target

_POLL_SECONDS: Final = 0.5
_LOST_SECONDS: Final = 1.0
_MOST_LOST: Final = 2
_S = vocabulary.RecipientState
_COLOURS: Final = {
    _S.ACCEPTED.value: terminal.Colour.GOOD,
    _S.FAILED.value: terminal.Colour.BAD,
    _S.EXPIRED.value: terminal.Colour.BAD,
    _S.SUPPRESSED.value: terminal.Colour.BAD,
    _S.HELD.value: terminal.Colour.WAITING,
    _S.DEFERRED.value: terminal.Colour.WAITING,
    _S.IN_DOUBT.value: terminal.Colour.WAITING,
}

_Json = dict[str, Any]


@dataclasses.dataclass(slots=True, kw_only=True)
class Sent:
    """A notification that was taken.

    Attributes:
        path: Where it is looked up.
        record: Where its recipients stand, as it was looked up last.
        held: Why the organization's messages do not go, as it was taken; None where they go.
    """

    id: str
    path: str
    record: _Json = dataclasses.field(default_factory=dict)
    held: _Json | None = None

    @property
    def complete(self) -> bool:
        """Whether every recipient has a final state."""
        return self.record.get("complete") is True

    @property
    def ok(self) -> bool:
        """Whether the SMTP server took it for everybody."""
        return self.complete and all(each["state"] == _S.ACCEPTED for each in self.recipients)

    @property
    def recipients(self) -> list[_Json]:
        """One entry a recipient."""
        return list(self.record.get("recipients") or ())


async def hand_over(
    asked: intake.IntakeClient,
    organization: target.OrganizationName,
    content: Mapping[str, Any],
    *,
    key: str,
    deadline: float,
    wait: Callable[[str, float], None] | None,
) -> Sent:
    """Return the notification once it is taken; a request whose answer is lost is sent again under the same key.

    Args:
        asked: The intake.
        organization: Whose settings deliver it.
        content: The body of the request.
        key: Its idempotency key.
        deadline: Until when it may wait, by the clock of the event loop.
        wait: Told why nothing happens yet, and for how many seconds; None not to wait where it may pass.

    Raises:
        CommandError: It is not taken.
        UnreachableError: The intake cannot be asked.
    """
    lost = 0
    while True:
        try:
            answer = await asked.notify(organization, content, key=key)
        except intake.RefusedError as error:
            if error.retry_after_seconds is None:
                raise
            pause = error.retry_after_seconds
            if wait is None:
                raise failures.CommandError(f"{error}; it may be sent again in {pause:g} s") from error
            if asyncio.get_running_loop().time() + pause >= deadline:
                raise failures.CommandError(
                    f"{error}; it may be sent again in {pause:g} s: wait for that with a longer --timeout",
                    status=failures.Status.TIMED_OUT,
                ) from error
            wait(str(error), pause)
            await asyncio.sleep(pause)
        except intake.UnreachableError:
            lost += 1
            if lost > _MOST_LOST:
                raise
            await asyncio.sleep(_LOST_SECONDS)
        else:
            held = answer.get("held")
            return Sent(id=str(answer["id"]), path=str(answer["status"]), held=held if isinstance(held, dict) else None)


async def follow(asked: intake.IntakeClient, sent: Sent, *, show: Callable[[_Json], None]) -> None:
    """Return when every recipient has a final state.

    Args:
        asked: The intake.
        sent: What is followed; its record is brought up to date.
        show: Gets a recipient whenever its state, or what is said of it, changes.
    """
    shown: dict[str, tuple[object, ...]] = {}
    while not sent.complete:
        try:
            sent.record = await asked.look_up(sent.path)
        except intake.UnreachableError:
            # The sender may be starting again; what it took is on disk.
            await asyncio.sleep(_LOST_SECONDS)
            continue
        except intake.RefusedError as error:
            if error.retry_after_seconds is None:
                raise
            await asyncio.sleep(error.retry_after_seconds)
            continue
        for recipient in sent.recipients:
            told = (recipient["state"], recipient["reason"], recipient["message"])
            if shown.get(recipient["address"]) != told:
                shown[recipient["address"]] = told
                show(recipient)
        if not sent.complete:
            await asyncio.sleep(_POLL_SECONDS)


def lines(recipient: Mapping[str, Any], painter: terminal.Painter, *, width: int | None, said: set[str]) -> list[str]:
    """Return where a recipient stands, for people.

    Args:
        recipient: As the intake told it.
        painter: Colours, or does not.
        width: Characters of a line; None to wrap nothing.
        said: The messages that were told before, of which the reason is enough; this one is added.
    """
    state, message = str(recipient["state"]), str(recipient["message"])
    told = ": ".join(filter(None, (str(recipient["reason"]), "" if message in said else message)))
    said.add(message)
    parts = (
        (f"{terminal.plain(str(recipient['address']))}   ", None),
        (terminal.plain(state), _COLOURS.get(state)),
        (f"   {terminal.plain(told)}", None),
    )
    return tables.line(parts, painter, width=width, indent="  ", following="    ")


def as_json(sent: Sent) -> str:
    """Return a notification as a document for programs."""
    taken: _Json = {"id": sent.id, "status": sent.path, **({"held": sent.held} if sent.held else {})}
    return json.dumps(sent.record or taken, indent=2, ensure_ascii=False)


def held_lines(sent: Sent, painter: terminal.Painter, *, width: int | None) -> list[str]:
    """Return, for people, why a notification that was taken does not go; nothing where it goes."""
    if sent.held is None:
        return []
    told = terminal.plain(f"{sent.held.get('reason')}: {sent.held.get('message')}")
    parts = (("waits", terminal.Colour.WAITING), (f"   {told}", None))
    return tables.line(parts, painter, width=width, indent="  ", following="    ")


def timed_out(sent: Sent | None, seconds: float, *, key: str, said: Container[str]) -> failures.CommandError:
    """Return what is said when the time is over, without the messages that were told before."""
    if sent is None:
        text = (
            f"the intake did not say within {seconds:g} s that the notification was taken: it may be stored all the"
            f" same; `--idempotency-key {key}` with the same contents sends it again without doubling it"
        )
    else:
        states = ", ".join(sorted({str(each["state"]) for each in sent.recipients})) or "unknown"
        messages = dict.fromkeys(str(each["message"]) for each in sent.recipients)
        why = " ".join(message for message in messages if message and message not in said)
        text = f"{sent.id} has no end within {seconds:g} s: its state is {states}, and the sender goes on with it"
        text = terminal.plain(f"{text}. {why}" if why else text).removesuffix(".")
    return failures.CommandError(text, status=failures.Status.TIMED_OUT)
