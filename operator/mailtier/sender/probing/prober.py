"""When endpoints are probed, and what is remembered of it.

A probe follows a change of settings or of a Secret's version; a good endpoint is probed again after half an hour, a
failing one after 1, 2, 4, 8, then every 10 minutes. Organizations with the same probe key share a probe. How often a
namespace may have one, `budget` says (R7), and whose is next, `turns`.
"""

import asyncio
import contextlib
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Final, NoReturn

from mailtier.api import feed, timers
from mailtier.mail import classify
from mailtier.sender import clock, ports, settings_source
from mailtier.sender.net import shares
from mailtier.sender.probing import accusations, budget, limits, looking, memory, probe, targets, tidings, trace, turns
from mailtier.sender.scheduling import standing
from mailtier.sender.secrets import credentials, tokens
from mailtier.sender.smtp import destination, destinations
from mailtier.sender.smtp.servers import destination_key, routing
from mailtier.settings import codec, effective
from mailtier.telemetry import logs, tasks

_IDLE_SECONDS: Final = 60.0

_log = logs.get_logger(__name__)


class Prober:
    """Probes the endpoints of all organizations, and on request.

    Args:
        queue: Where results are kept, for the operator and for the next process.
        settings: Effective settings.
        destinations: The endpoints in use; shared with delivery.
        passwords: Credentials; shared with delivery.
        access: Access tokens; shared with delivery.
        time: Clocks and chance.
        owns: Whether this sender may connect to the server of settings; of several another may.
    """

    def __init__(
        self,
        *,
        queue: ports.DeliveryQueue,
        settings: settings_source.ListedSettings,
        destinations: destinations.Destinations,
        passwords: credentials.CredentialStore,
        access: tokens.Tokens,
        time: clock.Clock,
        owns: Callable[[effective.Effective], bool] = lambda _settings: True,
    ) -> None:
        self._memory = memory.ProbeMemory(queue)
        self._settings = settings
        self._destinations = destinations
        self._clock = time
        self._targets = targets.Targets()
        self._budget = budget.ProbeBudget()
        self._limits = limits.ProbeLimits(settings, self._budget, owns)
        self._tidings = tidings.Tidings(self._memory, self._targets, destinations, time)
        self._accusations = accusations.Accusations()
        self._looking = looking.Looking(
            destinations=destinations,
            passwords=passwords,
            access=access,
            time=time,
            bounds=self._limits,
            news=self._tidings,
            accused=self._accusations,
            recall=self.recall,
        )
        self._due = timers.Timers[str]()
        self._wake = asyncio.Event()
        self._background = tasks.Background()
        self._turns = turns.ProbeTurns(self._take_up)
        self._loading = asyncio.Lock()
        destinations.on_route_change(self._note_route_change)
        self._is_running = False

    async def load(self) -> None:
        """Remember what earlier processes found; to be awaited before anything is delivered (R12)."""
        async with self._loading:
            # Both delivery and probes wait for it; read twice, refused logins would count twice.
            if not self._memory.loaded:
                await asyncio.gather(self._memory.load(), self._destinations.load())

    async def learn(self) -> None:
        """Learn what other senders found meanwhile; to be awaited before anything is delivered that was theirs."""
        await self.load()
        await asyncio.gather(self._memory.learn(), self._destinations.load())

    def note_owned(self) -> None:
        """Have those servers probed that are this sender's from now on, when it is time."""
        for target in self._targets:
            if self._limits.is_mine(target) and target.running is None and self._due.at(target.key) is None:
                self._plan(target, self._memory.first_at(target.key, target.seen_version, self._clock))

    def note_settings(self, organization: effective.OrganizationKey) -> None:
        """Look at an organization's settings again; the callback for whoever watches them."""
        self._note_settings(organization)
        self._note_settings(effective.FallbackKey(namespace=organization.namespace, name=organization.name))

    def _note_settings(self, organization: effective.OrganizationKey) -> None:
        """Look at the settings for one server of an organization."""
        settings = settings_source.find(self._settings, organization)
        usable = targets.usable(settings)
        key = codec.probe_key(usable.settings) if usable else None
        if (unused := self._targets.leave(organization, key)) is not None:
            self._due.remove(unused)
            self._turns.leave(unused)
            self._memory.forget(unused)
            self._accusations.end(unused)
        if usable is None or key is None:
            return
        is_edit = self._targets.note_own(organization, usable)
        known = self._targets.get(key)
        is_new, is_joining = known is None, known is not None and organization not in known.users
        target = self._targets.join(organization, key)
        version = usable.auth.version
        is_changed = is_new or version != target.seen_version
        if is_changed:
            target.seen_version = version
            target.failures = 0
            target.is_new = True
        if is_new:
            at = self._memory.first_at(key, version, self._clock)
        elif (is_changed and not self._is_known(target)) or (is_joining and target.editors):
            at = self._clock.monotonic()
        else:
            return
        if is_edit and organization.namespace and self._is_running:
            target.editors[organization.namespace] = None
        else:
            # The host's change, or the beginning: it is nobody's to pay for.
            target.editors.clear()
        self._plan(target, at)

    def request(self, settings: effective.Effective) -> None:
        """Have settings probed soon: delivery found something that somebody should read."""
        target = self._targets.of(settings.organization)
        if target is not None and target.running is None:
            self._plan(target, max(self._clock.monotonic(), target.last_at + limits.AGAIN_SECONDS))

    async def contradict(self, usable: standing.Usable, failure: classify.Failure, *, secret_version: str) -> None:
        """Have Verified tell what a delivery was told of the settings, where no probe gets to."""
        target = self._targets.of(usable.settings.organization)
        if target is not None:
            users, now = {user.namespace for user in target.users}, self._clock.monotonic()
            told = self._accusations.note(
                target.key, usable, failure, secret_version=secret_version, users=users, now=now
            )
            if told is not None:
                known, at = self._memory.find(target.key), self._clock.wall()
                await self._tidings.record(target, told.as_probe(target.key, usable, known, at=at))

    def agree(self, settings: effective.Effective) -> None:
        """Note that a server took a message with these settings: what was said against them is over."""
        target = self._targets.of(settings.organization)
        if target is not None and self._accusations.end(target.key):
            self.request(settings)

    def demand(self, organization: effective.OrganizationKey, *, again: bool = False) -> trace.Trace:
        """Start a probe for somebody who waits, or join one; return its trace.

        Its connection is a new one, and the Secret is read after the demand: one that is under way is joined only if
        it has not come to that yet, and waited for otherwise.

        Args:
            organization: Whose endpoint; the host's own with an empty namespace.
            again: Whether a login that was refused is to be tried once more, within the budget of refusals (R12).

        Raises:
            StartingError: The sender has not read yet what it has to know first (R3, R12).
            NotProbeableError: Its settings are unknown, blocked, unresolved or suspended; or the login that is to be
                tried again is the host's, and not its own.
            TooSoonError: The namespace has had its probes (R7). That goes for an inherited endpoint too, whose
                connections all organizations share.
        """
        if not self._memory.loaded:
            raise targets.StartingError
        self.note_settings(organization)
        target = self._targets.of(organization)
        if target is None:
            raise targets.NotProbeableError(targets.why_not(self._settings.get(organization)))
        if not self._limits.is_mine(target):
            # It passes from one sender to another.
            raise targets.StartingError
        if again and organization.namespace and not self._limits.has_own_login(target):
            raise targets.NotProbeableError(targets.OF_THE_HOST)
        if target.running is not None and target.is_fresh and not target.told.reading and target.is_again >= again:
            return target.told
        now, namespace = self._clock.monotonic(), organization.namespace
        allowed_at = self._budget.allowed_at(namespace, now) if namespace else now
        if not self._limits.is_own(target):
            allowed_at = max(allowed_at, target.last_at + limits.AGAIN_SECONDS)
        if allowed_at > now:
            self._budget.promise(namespace, allowed_at, now)
            raise budget.TooSoonError(allowed_at - now)
        if namespace:
            self._budget.take(namespace, now)
        self._start(target, fresh=True, again=again)
        return target.told

    def recall(
        self, settings: effective.Effective, generation: credentials.Generation, at: destination.Destination
    ) -> None:
        """Note what an earlier process reported of a credential generation: that it was refused, or succeeded (R12)."""
        state = at.auth_state(generation)
        if state.is_recalled or not generation.version or not self._memory.loaded:
            return
        state.is_recalled = True
        for known in self._memory.learned(generation.version):
            if state.refusal is None and self._speaks_of(known, settings):
                at.at.recall(generation, probe.refusal_of(known))

    async def run(self) -> NoReturn:
        """Probe until cancelled."""
        try:
            await self.load()
            for settings in self._settings.organizations():
                self.note_settings(settings.organization)
            # What is left of settings that are gone.
            self._memory.keep(self._targets)
            self._is_running = True
            while True:
                self._wake.clear()
                self._start_due()
                next_at = self._due.next_at()
                pause = _IDLE_SECONDS if next_at is None else next_at - self._clock.monotonic()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(pause, 0.0)):
                        await self._wake.wait()
        finally:
            self._is_running = False
            await self._background.finish(within_seconds=0)

    def wake(self) -> None:
        """Look at the clock again."""
        self._wake.set()

    def _start_due(self) -> None:
        now = self._clock.monotonic()
        for key in self._due.due(now):
            target = self._targets.get(key)
            if target is None or target.running is not None:
                continue
            if self._may_begin(target, now):
                turn = self._turn(target)
                if turn is not None:
                    self._start_own(target, turn)

    def _turn(self, target: targets.Target) -> shares.ShareSlot | None:
        """Return leave to probe; None where it has to wait for its turn."""
        usable = self._limits.usable(target)
        if usable is None or target.is_host_s_own:
            return shares.FREE
        namespace = usable.settings.organization.namespace
        return self._turns.take(namespace, target.key, is_host_s=usable.payer is None)

    def _take_up(self, key: str, turn: shares.ShareSlot) -> None:
        """Begin a probe that waited for its turn, unless the namespace had its probes meanwhile."""
        target = self._targets.get(key)
        if self._is_running and target is not None and self._may_begin(target, self._clock.monotonic()):
            self._start_own(target, turn)
        else:
            turn.give_back()

    def _may_begin(self, target: targets.Target, now: float) -> bool:
        """Return whether the sender may begin its own next probe; if not, plan it for later, and tell of a change."""
        if not self._limits.is_mine(target):
            return False
        allowed_at = self._limits.allowed_at(target, now)
        if allowed_at <= now:
            return True
        self._plan(target, allowed_at)
        if target.is_new:
            target.is_new = False
            if target.namespace:
                self._background.spawn(self._tidings.tell_wait(target, allowed_at))
        return False

    def _start_own(self, target: targets.Target, turn: shares.ShareSlot) -> None:
        """Start a probe that nobody asked for; its turn ends with it."""
        now = self._clock.monotonic()
        payer = self._limits.payer(target, now)
        if payer is not None:
            self._budget.take(payer, now)
        self._start(target, fresh=False).add_done_callback(lambda _probed: turn.give_back())

    def _start(self, target: targets.Target, *, fresh: bool, again: bool = False) -> asyncio.Task[None]:
        # Whatever waited for a probe has this one.
        self._turns.leave(target.key)
        target.editors.clear()
        target.last_at = self._clock.monotonic()
        target.told = trace.Trace()
        target.is_fresh, target.is_again = fresh, again
        told = target.told
        target.running = self._background.spawn(
            self._probe(target, told, after=target.running, fresh=fresh, again=again)
        )
        return target.running

    async def _probe(
        self, target: targets.Target, told: trace.Trace, *, after: asyncio.Task[None] | None, fresh: bool, again: bool
    ) -> None:
        if after is not None:
            await asyncio.wait({after})
        version, pause = target.seen_version, targets.LONGEST_FAILING_SECONDS
        try:
            pause = target.pause_after(await self._looking.look(target, told, fresh=fresh, again=again))
        except Exception:  # noqa: BLE001 - one endpoint must not stop the others.
            _log.exception("a probe failed by a defect")
        finally:
            told.end()
            if target.told is told:
                target.running = None
                if target.seen_version != version and not self._is_known(target):
                    # The Secret changed meanwhile: this probe may have used the former password.
                    pause = 0.0
                # Up to a tenth more, so that what began together does not stay together.
                self._plan(target, self._clock.monotonic() + pause * (1 + self._clock.random() / 10))

    def _note_route_change(self, turned: AbstractSet[destination_key.DestinationKey]) -> None:
        """Tell which servers take the mail from now on, and have the first one tried while it is not that."""
        for target in self._targets:
            usable = self._limits.usable(target)
            has_two = usable is not None and usable.settings.fallback is not None
            if usable is not None and has_two and destination_key.key_of(usable.settings) in turned:
                self._background.spawn(self._tidings.tell_turn(target, usable.settings))
                self._plan(target, self._clock.monotonic() + routing.TRIAL_SECONDS)

    def _is_known(self, target: targets.Target) -> bool:
        """Return whether somebody's probe found already what the version of the Secret that was told of comes to."""
        known = self._memory.find(target.key)
        return bool(target.seen_version) and known is not None and known.secret_version == target.seen_version

    def _plan(self, target: targets.Target, at: float) -> None:
        self._due.set(target.key, at)
        self._wake.set()

    def _speaks_of(self, known: feed.Probe, settings: effective.Effective) -> bool:
        """Return whether a probe sent the same login to the same server, for whichever organization."""
        target = self._targets.get(known.key)
        probed = settings_source.find(self._settings, next(iter(target.users))) if target else None
        if known.key == codec.probe_key(settings):
            return True
        return probed is not None and targets.login(probed) == targets.login(settings)
