"""What deliveries are told against settings: who has to say it, how long it stands, and in whose share."""

import pytest

from kit import sending
from mailtier.api import vocabulary
from mailtier.mail import classify, reasons
from mailtier.sender.probing import accusations
from mailtier.sender.scheduling import standing
from mailtier.settings import effective

_R = reasons.DeliveryReason
_HOUR = accusations.LASTING_SECONDS


def _usable(namespace: str = "team-a", *, origin: vocabulary.Origin = vocabulary.Origin.ORG) -> standing.Usable:
    endpoint = effective.Endpoint(
        host="smtp.example.com",
        port=587,
        tls=sending.PLAIN,
        addresses=sending.PUBLIC,
        origin=origin,
        is_host_s=origin is vocabulary.Origin.HOST,
    )
    settings = sending.settings(namespace, endpoint)
    assert settings.from_ is not None
    return standing.Usable(
        settings=settings, endpoint=endpoint, auth=settings.auth or sending.ANONYMOUS, from_=settings.from_
    )


def _note(
    known: accusations.Accusations,
    *,
    now: float = 0.0,
    key: str = "key",
    usable: standing.Usable | None = None,
    users: tuple[str, ...] = ("team-a",),
    reason: _R = _R.RELAY_DENIED,
    version: str = "1",
) -> bool:
    failure = classify.Failure(
        scope=classify.Scope.SETTINGS,
        permanence=classify.Permanence.PERMANENT,
        phase=classify.Phase.RCPT,
        reason=reason,
        code=554,
    )
    told = known.note(key, usable or _usable(), failure, secret_version=version, users=users, now=now)
    return told is not None


def _stands(known: accusations.Accusations, *, now: float = 1.0, key: str = "key", version: str = "1") -> bool:
    return known.standing(key, secret_version=version, now=now) is not None


def test_it_is_told_once_and_stands() -> None:
    """Verified is told the first time; what is said again is no news, and goes on to stand."""
    known = accusations.Accusations()
    assert [_note(known), _note(known)] == [True, False]
    assert _stands(known)


def test_another_secret_ends_it() -> None:
    """What was said to one version of the Secret says nothing of the next one, also not later of the first."""
    known = accusations.Accusations()
    _note(known)
    assert not _stands(known, version="2")
    assert not _stands(known, version="1")


def test_another_secret_that_is_told_the_same_is_accused_anew() -> None:
    """The same refusal with a new version of the Secret is news, and stands against that version."""
    known = accusations.Accusations()
    assert [_note(known, version="1"), _note(known, version="2")] == [True, True]
    assert _stands(known, version="2")


@pytest.mark.parametrize(("now", "stands"), [(_HOUR - 0.1, True), (_HOUR, False), (_HOUR + 0.1, False)])
def test_it_ends_with_its_time(now: float, *, stands: bool) -> None:
    """After an hour in which nobody was told so, it stands no more."""
    known = accusations.Accusations()
    _note(known)
    assert _stands(known, now=now) is stands


def test_what_is_said_again_lasts_longer() -> None:
    """The hour counts from the last time."""
    known = accusations.Accusations()
    _note(known)
    _note(known, now=_HOUR - 1)
    assert _stands(known, now=_HOUR + 1)


def test_two_namespaces_accuse_what_they_share() -> None:
    """One of several who use the host's server is not believed alone, two are (R15)."""
    known, users = accusations.Accusations(), ("team-a", "team-b", "")
    one, other = (_usable(name, origin=vocabulary.Origin.HOST) for name in ("team-a", "team-b"))
    assert not _note(known, usable=one, users=users)
    assert not _stands(known)
    assert _note(known, usable=other, users=users)
    assert _stands(known)


def test_a_message_that_was_taken_ends_it() -> None:
    """It is forgotten, and whether Verified said so is told once."""
    known = accusations.Accusations()
    _note(known)
    assert [known.end("key"), known.end("key")] == [True, False]
    assert not _stands(known)


def test_what_is_over_is_not_kept() -> None:
    """Keys that nobody asks for again go when something else is noted, and those that were said again stay."""
    known = accusations.Accusations()
    for number in range(10):
        _note(known, key=f"key-{number}")
    _note(known, key="key-0", now=_HOUR - 1)
    _note(known, key="new", now=_HOUR)
    assert len(known) == 2
    assert _stands(known, key="key-0", now=_HOUR)


def test_a_namespace_has_a_share() -> None:
    """One that is accused under ever new senders fills its own share, and what ends makes room in it (R15)."""
    known = accusations.Accusations()
    noted = [_note(known, key=f"key-{number}") for number in range(accusations.LARGEST_SHARE + 5)]
    assert noted == [True] * accusations.LARGEST_SHARE + [False] * 5
    assert len(known) == accusations.LARGEST_SHARE
    assert _note(known, key="other", usable=_usable("team-b"))
    known.end("key-0")
    assert _note(known, key="one more")
    assert not _note(known, key="too many")
    assert _note(known, key="too many", now=_HOUR)
