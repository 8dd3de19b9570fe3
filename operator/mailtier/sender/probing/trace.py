"""The stages of one probe as they are gone through, told to whoever follows it."""

import asyncio
import dataclasses
import datetime as dt
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final

from mailtier.api import feed, reasons, vocabulary
from mailtier.mail import classify

_S = vocabulary.ProbeStage
_P = classify.Phase

_WELL: Final[Mapping[vocabulary.ProbeStage, str]] = {
    _S.DNS: "The name resolves, and the address may be connected to.",
    _S.TCP: "The server accepts the connection.",
    _S.TLS: "The connection is encrypted, and the certificate verifies.",
    _S.EHLO: "The server speaks SMTP and takes our name.",
    _S.AUTH: "The server takes the credentials.",
    _S.MAIL: "The server takes the sender address.",
}
_ANONYMOUS: Final = "Nothing is sent: the mechanism is Anonymous."
_REUSED: Final = "A connection that was open already went through this."


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One stage that is over.

    Attributes:
        ok: Whether the server passed it.
        message: One sentence that anybody may read; "" where it failed, which the result explains.
    """

    stage: vocabulary.ProbeStage
    ok: bool
    message: str


class Trace:
    """One probe. Whoever follows it late hears of its stages from the beginning.

    Attributes:
        result: What the probe found; None before its end, and where none came about.
        problem: Why no result came about.
        explanation: More of that, for whom the Secret belongs to; "" where there is no more.
        reading: Whether the Secret is being read, or was.
        read_at: When the Secret had been read, aware UTC; None before, and without one.
        is_remembered: Whether the server's refusal of the credentials is an earlier one: they were not sent again.
        logins_left: How many logins more the server may refuse until the namespace's have to wait, where it refused
            one; None where it did not, or where they are not counted.
    """

    def __init__(self) -> None:
        self.result: feed.Probe | None = None
        self.problem: reasons.Reason | None = None
        self.explanation = ""
        self.reading = False
        self.read_at: dt.datetime | None = None
        self.is_remembered = False
        self.logins_left: int | None = None
        self._steps: list[Step] = []
        self._news = asyncio.Event()
        self._ended = False

    @property
    def steps(self) -> Sequence[Step]:
        """The stages that are over."""
        return self._steps

    def tell(self, step: Step) -> None:
        """Note that a stage is over. One that was passed is told once; that one failed is told in any case."""
        if step.ok and step.stage in {told.stage for told in self._steps}:
            return
        self._steps.append(step)
        self._ring()

    def end(self) -> None:
        """Note that nothing more comes."""
        self._ended = True
        self._ring()

    async def follow(self) -> AsyncIterator[Step]:
        """Yield each stage as it is over, until the probe is."""
        position = 0
        while True:
            news = self._news
            while position < len(self._steps):
                yield self._steps[position]
                position += 1
            if self._ended:
                return
            await news.wait()

    def _ring(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


class Phases:
    """Tells a trace which stages are over, from the phases of an opening as they begin.

    The stages of StartTLS end in their order too: the EHLO that counts is the one after TLS (RFC 3207 section 4.2).

    Args:
        tell: Gets each stage once it is over.
        mode: How the connection is protected.
        mechanism: How it is authenticated.
    """

    def __init__(
        self, tell: Callable[[Step], None], *, mode: vocabulary.TlsMode, mechanism: vocabulary.Mechanism
    ) -> None:
        self._tell = tell
        self._anonymous = mechanism is vocabulary.Mechanism.ANONYMOUS
        self._stages = [stage for stage in _S if stage is not _S.TLS or mode is not vocabulary.TlsMode.DISABLED]
        self._former = _P.CONNECT
        self._opened = False

    def begin(self, phase: classify.Phase) -> None:
        """Note that a phase begins."""
        former, self._former = self._former, phase
        match phase:
            case _P.CONNECT:
                self._opened = True
                self._pass(_S.DNS)
            case _P.TLS | _P.GREETING | _P.EHLO:
                self._pass(_S.TCP)
                if former is _P.TLS:
                    self._pass(_S.TLS)
            case _P.AUTH:
                self._pass(_S.EHLO)
            case _P.MAIL:
                self._pass(_S.AUTH)

    def finish(self, failed: vocabulary.ProbeStage | None) -> None:
        """Note how it ended: at a stage, or at none."""
        if failed is None:
            self._pass(_S.MAIL)
        else:
            self._tell(Step(stage=failed, ok=False, message=""))

    def _pass(self, last: vocabulary.ProbeStage) -> None:
        """Tell that a stage is over; those before it, which nothing was heard of, with it."""
        for stage in self._stages[: self._stages.index(last) + 1]:
            self._tell(Step(stage=stage, ok=True, message=self._said(stage)))

    def _said(self, stage: vocabulary.ProbeStage) -> str:
        if not self._opened and stage is not _S.MAIL:
            return _REUSED
        return _ANONYMOUS if stage is _S.AUTH and self._anonymous else _WELL[stage]
