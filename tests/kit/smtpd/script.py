"""How a test server is told to misbehave: rules that match a command and say what becomes of it."""

import collections.abc
import dataclasses
import enum
import json
import re
import typing

# These stand for moments without a command line of their own; no command begins with "<".
GREETING = "<greeting>"
BODY = "<body>"
"""The first bytes of a message, of which no more is read."""
DOT = "<dot>"


class Drop(enum.StrEnum):
    """When the connection is dropped, relative to a command's effect and its reply."""

    NEVER = "never"
    BEFORE = "before"
    """The command has no effect: at the final dot, the message is not recorded."""
    INSTEAD = "instead"
    """The command has its effect, the reply is never sent: at the final dot, the message is recorded."""
    AFTER = "after"
    """The command has its effect and is answered."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What becomes of one command, in this order: delay, effect, flood, reply, drop.

    Attributes:
        reply: Sent instead of the ordinary reply. Text is one or several lines (separated by a newline) as
            they go over the wire, with `{payload}`, `{username}` and `{password}` replaced by what the client
            sent with AUTH; bytes are sent exactly as they are. The command has its effect only if the reply
            begins with 2 or 3.
        delay_seconds: How long nothing happens before.
        drip_seconds: The pause after each byte of the reply; 0 sends it at once.
        flood_lines: How many continuation lines precede the reply.
        behind: Sent in one packet with the reply, which did not ask for it.
        drop: Whether and when the connection is dropped.
        reset: Whether it is dropped with RST, whatever the kernel would do.
    """

    reply: str | bytes | None = None
    delay_seconds: float = 0
    drip_seconds: float = 0
    flood_lines: int = 0
    behind: bytes = b""
    drop: Drop = Drop.NEVER
    reset: bool = False

    def has_effect(self) -> bool:
        """Return whether the command does what it says."""
        if self.drop is Drop.BEFORE:
            return False
        return self.reply is None or self.reply[:1] in {"2", "3", b"2", b"3"}


@dataclasses.dataclass(slots=True, kw_only=True)
class _Rule:
    pattern: re.Pattern[str]
    behaviour: Behaviour
    skip: int
    times: int | None


class Script:
    """An ordered list of rules. For each command, the first that matches and is not used up decides.

    Attributes:
        applied: How often a rule has decided since the script was cleared.
    """

    def __init__(self) -> None:
        self.applied = 0
        self._rules: list[_Rule] = []

    def on(
        self,
        command: str | re.Pattern[str],
        behaviour: Behaviour | str | bytes,
        *,
        skip: int = 0,
        times: int | None = None,
    ) -> typing.Self:
        """Add a rule and return the script.

        Args:
            command: How the command line begins (case does not matter), such as `RCPT TO:<x@example.org>`; a
                pattern for its beginning; or GREETING, BODY or DOT. A rule for AUTH decides at the end of the
                exchange, when the credentials are known.
            behaviour: What happens; a mere reply may stand for itself.
            skip: How many matching commands it lets pass first.
            times: How many commands it then applies to; None: all.
        """
        pattern = re.compile(re.escape(command), re.IGNORECASE) if isinstance(command, str) else command
        decided = behaviour if isinstance(behaviour, Behaviour) else Behaviour(reply=behaviour)
        self._rules.append(_Rule(pattern=pattern, behaviour=decided, skip=skip, times=times))
        return self

    def clear(self) -> None:
        """Forget all rules, so that the server behaves well."""
        self._rules.clear()
        self.applied = 0

    def find(self, command: str) -> Behaviour | None:
        """Return what becomes of a command, or None for the ordinary; uses up one of the rule's times."""
        for rule in self._rules:
            if rule.times == 0 or not rule.pattern.match(command):
                continue
            if rule.skip:
                rule.skip -= 1
                continue
            if rule.times is not None:
                rule.times -= 1
            self.applied += 1
            return rule.behaviour
        return None

    @classmethod
    def from_json(cls, text: str) -> typing.Self:
        """Return the script in a JSON list of objects: `on`, the fields of Behaviour, `skip` and `times`.

        Raises:
            TypeError: An object has a key that is not known.
        """
        script = cls()
        rules: collections.abc.Iterable[dict[str, typing.Any]] = json.loads(text)
        for rule in rules:
            fields = dict(rule)
            command, skip, times = fields.pop("on"), fields.pop("skip", 0), fields.pop("times", None)
            drop = Drop(fields.pop("drop", Drop.NEVER))
            script.on(command, Behaviour(drop=drop, **fields), skip=skip, times=times)
        return script
