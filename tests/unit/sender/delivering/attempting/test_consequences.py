"""What an attempt means: the circumstances and its end in, the consequences out."""

import dataclasses
import datetime as dt

import pytest

from kit import attempts, sending
from mailtier.api import vocabulary
from mailtier.mail import classify, reasons, replies, transaction
from mailtier.sender import ports
from mailtier.sender.delivering import tries
from mailtier.sender.delivering.attempting import consequences
from mailtier.sender.net import faults
from mailtier.sender.scheduling import refusals

_C = vocabulary.Category
_ORG = vocabulary.Origin.ORG
_P = classify.Phase
_R = reasons.DeliveryReason
_S = vocabulary.RecipientState
_Scope = classify.Scope


def _state(decided: consequences.Consequences) -> tuple[vocabulary.RecipientState, bool]:
    """Return the state to store, and whether an attempt is charged."""
    assert isinstance(decided.for_recipient, ports.Outcome)
    return decided.for_recipient.state, decided.for_recipient.attempted


# Scope, whether for good: the state, whether an attempt is charged, what the destination is told, whether a probe is
# asked for, whether the Secret is read again, whether the refusal is remembered of the lane.
_TABLE = [
    (_Scope.SERVER, False, _S.DEFERRED, False, consequences.Faulted, True, False, False),
    (_Scope.SERVER, True, _S.DEFERRED, False, consequences.Faulted, True, False, False),
    (_Scope.CREDENTIALS, False, _S.HELD, False, consequences.Served, True, True, False),
    (_Scope.CREDENTIALS, True, _S.HELD, False, consequences.Served, True, True, False),
    (_Scope.SETTINGS, False, _S.DEFERRED, True, consequences.Served, False, False, False),
    (_Scope.SETTINGS, True, _S.DEFERRED, True, consequences.Served, False, False, True),
    (_Scope.RECIPIENT, False, _S.DEFERRED, True, consequences.Served, False, False, False),
    (_Scope.RECIPIENT, True, _S.FAILED, True, consequences.Served, False, False, False),
    (_Scope.MESSAGE, False, _S.DEFERRED, True, consequences.Served, False, False, False),
    (_Scope.MESSAGE, True, _S.FAILED, True, consequences.Served, False, False, False),
]


@pytest.mark.parametrize("phase", [*_P, None], ids=lambda phase: str(phase or "in a session"))
@pytest.mark.parametrize(
    ("scope", "permanent", "state", "attempted", "news", "probes", "rereads", "remembers"),
    _TABLE,
    ids=[f"{row[0]}-{'permanent' if row[1] else 'transient'}" for row in _TABLE],
)
def test_scope_and_phase_decide(
    scope: classify.Scope,
    state: vocabulary.RecipientState,
    news: type[consequences.Served | consequences.Faulted],
    phase: classify.Phase | None,
    *,
    permanent: bool,
    attempted: bool,
    probes: bool,
    rereads: bool,
    remembers: bool,
) -> None:
    """Each scope has its consequences, the same ones before there is a session and in it (R12)."""
    failure = attempts.failure(scope, permanent=permanent)
    # At AUTH a fault is the server's with the host's login alone.
    is_host_s = scope is _Scope.SERVER and phase is _P.AUTH
    usable = attempts.usable(vocabulary.Origin.HOST if is_host_s else vocabulary.Origin.ORG)
    decided = consequences.decide(
        attempts.refused(failure) if phase is None else attempts.closed(failure, phase),
        dataclasses.replace(attempts.KNOWN, usable=usable),
    )
    told = decided.destination
    assert _state(decided) == (state, attempted)
    assert type(told) is news
    assert told is not None
    assert isinstance(told, (consequences.Served, consequences.Faulted))
    assert told.namespace == (None if is_host_s else "ns")
    assert not isinstance(told, consequences.Faulted) or told.phase is (phase or _P.RCPT)
    assert (decided.waits_for_server, decided.drops_token) == (news is consequences.Faulted, False)
    assert decided.probe == consequences.ProbeNews(requests=probes)
    assert (decided.refused is not None) is rereads
    assert (decided.lane_refusals != attempts.KNOWN.lane_refusals) is remembers
    assert (decided.holds_lane, decided.crashes) == (None, 0)


def test_the_host_s_login_concerns_the_host() -> None:
    """At AUTH with the host's credentials nobody's namespace is the cause; at any other time it may be."""
    known = dataclasses.replace(attempts.KNOWN, usable=attempts.usable(vocabulary.Origin.HOST))
    failure = attempts.failure(_Scope.SERVER)
    told = [consequences.decide(attempts.closed(failure, phase), known).destination for phase in (_P.AUTH, _P.MAIL)]
    assert told == [
        consequences.Faulted(phase=_P.AUTH, failure=failure, namespace=None),
        consequences.Faulted(phase=_P.MAIL, failure=failure, namespace="ns"),
    ]


@pytest.mark.parametrize("fault", [None, classify.Fault.CONNECTION_LOST, classify.Fault.TIMED_OUT])
def test_trouble_with_a_login_concerns_that_login(fault: classify.Fault | None) -> None:
    """What the server cannot check, or breaks off at, is held and says why; the server is not told to be at fault."""
    (reply,) = replies.ReplyParser().receive(b"454 4.7.0 Temporary authentication failure\r\n")
    failure = classify.classify_fault(_P.AUTH, fault) if fault else classify.classify_reply(_P.AUTH, reply)
    decided = consequences.decide(attempts.closed(failure, _P.AUTH), attempts.KNOWN)
    assert _state(decided) == (_S.HELD, False)
    assert decided.destination == consequences.LoginTroubled(
        trouble=dataclasses.replace(failure, scope=_Scope.CREDENTIALS)
    )
    assert decided.refused is not None
    assert decided.refused.reason == failure.reason
    assert (decided.waits_for_server, decided.probe) == (False, consequences.ProbeNews(requests=True))


def test_without_a_login_a_fault_at_its_place_is_a_namespace_s() -> None:
    """Where nobody logs in, a connection that is lost then is judged like one that is lost at MAIL."""
    usable = dataclasses.replace(attempts.usable(), auth=dataclasses.replace(sending.ANONYMOUS, origin=_ORG))
    failure = attempts.failure(_Scope.SERVER)
    known = dataclasses.replace(attempts.KNOWN, usable=usable)
    decided = consequences.decide(attempts.closed(failure, _P.AUTH), known)
    assert decided.destination == consequences.Faulted(phase=_P.AUTH, failure=failure, namespace="ns")


@pytest.mark.parametrize(("opened", "seconds"), [(True, 90.0), (False, 0.0)])
def test_a_fault_in_a_session_waits_for_the_backoff_too(*, opened: bool, seconds: float) -> None:
    """A message that may be the cause is not offered again as soon as the server is back; one that is not, is."""
    failure = attempts.failure(_Scope.SERVER)
    decided = consequences.decide(attempts.refused(failure) if opened else attempts.closed(failure), attempts.KNOWN)
    assert isinstance(decided.for_recipient, ports.Outcome)
    assert decided.for_recipient.due_at == attempts.NOW + dt.timedelta(seconds=seconds)
    assert decided.waits_for_server


@pytest.mark.parametrize("reason", sorted(faults.UNASKED))
def test_what_the_server_was_not_asked_says_nothing_of_it(reason: reasons.DeliveryReason) -> None:
    """What is refused before a connection neither closes a breaker nor opens it."""
    decided = consequences.decide(
        attempts.closed(attempts.failure(_Scope.CREDENTIALS, permanent=True, reason=reason)), attempts.KNOWN
    )
    assert decided.destination is None
    assert decided.refused is not None


def test_the_organization_is_held_with_what_was_said() -> None:
    """Where there is no newer Secret, people read why; of an inherited endpoint the codes alone (R7)."""
    (reply,) = replies.ReplyParser().receive(b"535 5.7.8 Wrong for relay-7\r\n")
    failure = classify.classify_reply(_P.AUTH, reply)
    held = consequences.decide(attempts.closed(failure, _P.AUTH), attempts.KNOWN).refused
    assert held is not None
    assert (held.reason, held.fails_after) == (_R.CREDENTIALS_REFUSED, None)
    assert "535 5.7.8" in held.message
    assert "relay-7" not in held.message


@pytest.mark.parametrize("scope", [_Scope.CREDENTIALS, _Scope.SETTINGS])
@pytest.mark.parametrize("opened", [True, False])
def test_a_demand_for_authentication_is_told_where_no_probe_gets_to(scope: classify.Scope, *, opened: bool) -> None:
    """Said in a session it contradicts what a probe found; said before, a probe meets it itself."""
    failure = attempts.failure(scope, permanent=True, reason=_R.AUTHENTICATION_REQUIRED)
    probe = consequences.decide(attempts.refused(failure) if opened else attempts.closed(failure), attempts.KNOWN).probe
    assert probe.contradicts == (failure if opened else None)
    assert probe.requests is (scope is _Scope.CREDENTIALS)


@pytest.mark.parametrize(("category", "seconds"), [(_C.JOB_ALERT, 900.0), (_C.PASSWORD_RECOVERY, 60.0)])
def test_refused_settings_hold_the_lane_when_it_is_clear(category: vocabulary.Category, seconds: float) -> None:
    """The third recipient that is refused for good holds it, and contradicts the probe; a recovery waits a minute."""
    failure = attempts.failure(_Scope.SETTINGS, permanent=True, reason=_R.SENDER_REFUSED)
    known = dataclasses.replace(
        attempts.KNOWN,
        job=dataclasses.replace(attempts.JOB, category=category),
        lane_refusals=attempts.against_settings("b", "c"),
    )
    decided = consequences.decide(attempts.refused(failure), known)
    assert decided.holds_lane is not None
    assert (decided.holds_lane.until, decided.holds_lane.reason) == (attempts.MONOTONIC + seconds, _R.SENDER_REFUSED)
    assert decided.probe == consequences.ProbeNews(contradicts=failure)
    assert [each.address for each in decided.lane_refusals.addresses] == ["b", "c", "anna@example.org"]


def test_what_is_put_off_holds_no_lane() -> None:
    """Greylisting is no third refusal, and none that lasts; nor does it hold a lane of which others were believed."""
    known = dataclasses.replace(attempts.KNOWN, lane_refusals=attempts.against_settings("b", "c", at=0.0))
    for believed in (known.lane_refusals, attempts.against_settings("b", "c", "d", at=0.0)):
        decided = consequences.decide(
            attempts.refused(attempts.failure(_Scope.SETTINGS, reason=_R.POLICY_REFUSED)),
            dataclasses.replace(known, lane_refusals=believed),
        )
        assert (decided.holds_lane, decided.lane_refusals) == (None, believed)


def test_one_spelling_of_an_address_is_one_recipient() -> None:
    """`Anna@` and `anna@` are not two that were refused."""
    failure = attempts.failure(_Scope.SETTINGS, permanent=True)
    known, seen = attempts.KNOWN, set[str]()
    for address in ("Anna@example.org", "anna@example.org", "ANNA@Example.org"):
        known = dataclasses.replace(known, job=dataclasses.replace(attempts.JOB, rcpt_to=address))
        decided = consequences.decide(attempts.refused(failure), known)
        known = dataclasses.replace(known, lane_refusals=decided.lane_refusals)
        seen |= {each.address for each in decided.lane_refusals.addresses}
        assert decided.holds_lane is None
    assert seen == {"anna@example.org"}


def test_what_the_server_took_ends_what_was_said_against_the_settings() -> None:
    """An acceptance serves the namespace, forgets the lane's refusals and agrees with the probe."""
    known = dataclasses.replace(attempts.KNOWN, lane_refusals=attempts.against_settings("b", at=0.0))
    decided = consequences.decide(attempts.ACCEPTED, known)
    assert _state(decided) == (_S.ACCEPTED, True)
    assert decided.destination == consequences.Served(namespace="ns")
    assert (decided.lane_refusals, decided.frees_lane) == (refusals.NO_REFUSALS, True)
    assert decided.probe == consequences.ProbeNews(agrees=True)


def test_a_loss_behind_the_dot_is_a_fault_and_no_refusal() -> None:
    """The recipient is in doubt, the breaker learns of the dot, and no loss is counted against the message."""
    decided = consequences.decide(attempts.LOST, attempts.KNOWN)
    assert _state(decided) == (_S.IN_DOUBT, True)
    assert decided.destination == consequences.Faulted(phase=_P.DOT, failure=attempts.LOST.failure, namespace="ns")
    assert not decided.waits_for_server
    assert (decided.losses, decided.probe) == (refusals.NO_LOSSES, consequences.NO_NEWS)


@pytest.mark.parametrize(
    ("count", "served_at", "charged"),
    [
        (0, attempts.MONOTONIC, False),
        (1, attempts.MONOTONIC, False),
        (2, attempts.MONOTONIC, True),
        (9, attempts.MONOTONIC, True),
        (2, 5.0, False),
    ],
)
def test_the_third_loss_is_charged_where_others_are_served(count: int, served_at: float, *, charged: bool) -> None:
    """A message at which sessions end counts as refused, and nobody else is told, once the server is known to work."""
    known = dataclasses.replace(
        attempts.KNOWN, losses=refusals.Losses(phase=_P.RCPT, count=count, first_at=10.0), served_at=served_at
    )
    decided = consequences.decide(attempts.refused(attempts.failure(_Scope.SERVER, reason=_R.CONNECTION_LOST)), known)
    assert _state(decided) == (_S.DEFERRED, charged)
    assert decided.losses == refusals.Losses(phase=_P.RCPT, count=count + 1, first_at=10.0)
    assert (decided.destination is None, decided.waits_for_server) == (charged, not charged)
    assert decided.probe.requests is not charged


@pytest.mark.parametrize(
    ("phase", "code"), [(_P.MAIL, None), (_P.RCPT, 451), (_P.RCPT, 421)], ids=["in another phase", "4yz", "421"]
)
def test_what_is_no_third_loss_in_one_phase_is_not_charged(phase: classify.Phase, code: int | None) -> None:
    """What a server says with a code, and a loss elsewhere, has another cause than a message that it breaks off at."""
    known = dataclasses.replace(
        attempts.KNOWN,
        losses=refusals.Losses(phase=_P.RCPT, count=2, first_at=10.0),
        served_at=attempts.MONOTONIC,
    )
    failure = dataclasses.replace(attempts.failure(_Scope.SERVER), phase=phase, code=code)
    decided = consequences.decide(attempts.refused(failure), known)
    assert _state(decided) == (_S.DEFERRED, False)
    assert decided.losses.count == (2 if code else 1)


def test_a_session_that_does_not_come_about_is_no_loss() -> None:
    """Before there is a session no message can have been the cause."""
    known = dataclasses.replace(
        attempts.KNOWN, losses=refusals.Losses(phase=_P.RCPT, count=2, first_at=10.0), served_at=attempts.MONOTONIC
    )
    decided = consequences.decide(attempts.closed(attempts.failure(_Scope.SERVER)), known)
    assert decided.losses == known.losses
    assert _state(decided) == (_S.DEFERRED, False)


@pytest.mark.parametrize(("origin", "namespace"), [(vocabulary.Origin.ORG, "ns"), (vocabulary.Origin.HOST, None)])
def test_a_refused_token_is_dropped_and_the_server_has_served(origin: vocabulary.Origin, namespace: str | None) -> None:
    """The server answered as servers do, for the one whose login it is; the recipient was not tried."""
    decided = consequences.decide(
        tries.StaleToken(), dataclasses.replace(attempts.KNOWN, usable=attempts.usable(origin))
    )
    assert decided.for_recipient == consequences.AwaitsToken()
    assert decided.drops_token
    assert decided.destination == consequences.Served(namespace=namespace)
    assert (decided.refused, decided.probe) == (None, consequences.NO_NEWS)


@pytest.mark.parametrize(("crashes", "state", "attempted"), [(0, _S.DEFERRED, False), (1, _S.FAILED, True)])
def test_a_message_that_cannot_be_built_has_a_second_chance(
    crashes: int, state: vocabulary.RecipientState, *, attempted: bool
) -> None:
    """It concerns nobody but its recipient; the second time is the last one, with what is wrong."""
    known = dataclasses.replace(attempts.KNOWN, crashes=crashes)
    decided = consequences.decide(tries.NotBuilt(message="No such value."), known)
    assert _state(decided) == (state, attempted)
    assert isinstance(decided.for_recipient, ports.Outcome)
    assert decided.for_recipient.reason == _R.NOT_BUILDABLE
    assert "No such value." in decided.for_recipient.message
    assert decided == consequences.Consequences(
        for_recipient=decided.for_recipient,
        lane_refusals=known.lane_refusals,
        losses=known.losses,
        crashes=crashes + 1,
    )


@pytest.mark.parametrize(
    ("event", "due_at"),
    [
        (attempts.closed(attempts.failure(_Scope.SERVER)), attempts.NOW),
        (attempts.refused(attempts.failure(_Scope.SERVER)), attempts.NOW + dt.timedelta(seconds=90)),
        (attempts.closed(attempts.failure(_Scope.CREDENTIALS, permanent=True), _P.AUTH), attempts.NOW),
        (tries.NotBuilt(message=""), attempts.NOW + dt.timedelta(seconds=30)),
    ],
)
def test_a_resend_that_did_not_come_about_leaves_the_recipient_in_doubt(
    event: tries.AttemptEvent, due_at: dt.datetime
) -> None:
    """Any other state would say that the first copy was certainly not delivered; nothing is stored."""
    assert consequences.decide(event, attempts.IN_DOUBT).for_recipient == consequences.StillInDoubt(due_at=due_at)


def test_a_resend_that_was_refused_for_now_is_told() -> None:
    """It was tried: why it is put off is stored, and that it may have arrived all the same; no loss is counted."""
    decided = consequences.decide(attempts.refused(attempts.failure(_Scope.RECIPIENT)), attempts.IN_DOUBT)
    assert _state(decided) == (_S.IN_DOUBT, False)


@pytest.mark.parametrize("scope", [_Scope.CREDENTIALS, _Scope.SETTINGS])
def test_what_is_said_of_former_settings_holds_nobody(scope: classify.Scope) -> None:
    """Settings that changed while the server thought are not accused, held or forgotten for what it then says."""
    known = dataclasses.replace(
        attempts.KNOWN,
        is_current=False,
        lane_refusals=attempts.against_settings("b", "c", at=0.0),
    )
    failure = attempts.failure(scope, permanent=True, reason=_R.AUTHENTICATION_REQUIRED)
    for event in (attempts.refused(failure), attempts.ACCEPTED):
        decided = consequences.decide(event, known)
        assert decided.lane_refusals == known.lane_refusals
        assert (decided.holds_lane, decided.frees_lane, decided.refused) == (None, False, None)
        assert (decided.probe.contradicts, decided.probe.agrees) == (None, False)
        assert decided.destination == consequences.Served(namespace="ns")


@pytest.mark.parametrize("verdict", list(transaction.RecipientVerdict))
def test_a_result_without_a_reason_is_a_defect(verdict: transaction.RecipientVerdict) -> None:
    """Nothing is decided on a result that does not say why; only an acceptance needs no reason."""
    result = transaction.RecipientResult(rcpt_to=attempts.ADDRESS, verdict=verdict)
    if verdict is transaction.RecipientVerdict.ACCEPTED:
        assert _state(consequences.decide(result, attempts.KNOWN)) == (_S.ACCEPTED, True)
        return
    with pytest.raises(ValueError, match="says what became"):
        consequences.decide(result, attempts.KNOWN)
