"""Secrets and CA bundles: read when needed, and again by a schedule."""

import asyncio
import base64
import collections.abc
import contextlib
import datetime as dt
import pathlib
import typing

import pytest
import trustme

from kit import api, certs, specs, tiers, virtual_time
from mailtier.handlers import keys, reads
from mailtier.kube import errors, paths
from mailtier.settings import bundles, observed, resolve

USER = keys.organization("team-a", "default")
SECRET = paths.secrets("team-a", "smtp")
OUTCOME = observed.ReadOutcome


class World:
    """A reader with an API server in memory."""

    def __init__(self, monotonic: collections.abc.Callable[[], float] | None = None) -> None:
        self.api = api.Api()
        self.now = 0.0
        self.wall = specs.NOW
        self.changed: list[keys.Key] = []
        self.published: list[str] = []
        self.refused: errors.ApiError | None = None
        self.reader = reads.Reader(
            typing.cast("typing.Any", self.api),
            changed=self.changed.append,
            publish=self._publish,
            is_published=lambda digest: digest in self.published,
            wall=lambda: self.wall,
            monotonic=monotonic or (lambda: self.now),
            jitter=lambda: 1.0,
        )

    async def _publish(self, bundle: bundles.Bundle) -> None:
        if self.refused is not None:
            raise self.refused
        self.published.append(bundle.digest)

    def secret(self, version: str = "1") -> None:
        """Have a Secret that names its endpoint."""
        self.api.objects[SECRET] = {
            "metadata": {
                "uid": "u",
                "resourceVersion": version,
                "annotations": {"mailtier.dev/endpoint": "smtp.example.org:587"},
            },
            "data": {"password": base64.b64encode(b"hunter2").decode()},
        }


@pytest.fixture
def world() -> World:
    """Return a reader that has read nothing."""
    return World()


def plan(**org: typing.Any) -> resolve.Plan:
    """Return the plan of an organization with its own endpoint."""
    return tiers.plan(tiers.RELAY, {**tiers.OWN, **org})


async def test_a_secret_is_read_once_for_a_version_of_the_settings(world: World) -> None:
    """Looking again at unchanged settings costs no read; changed settings read anew."""
    world.secret()
    first = await world.reader.read_for(USER, plan(), fresh=True)
    again = await world.reader.read_for(USER, plan(), fresh=False)
    assert first.secret == again.secret
    assert first.secret is not None
    assert first.secret.outcome == OUTCOME.FOUND
    assert world.api.count("get", SECRET) == 1
    await world.reader.read_for(USER, plan(), fresh=True)
    assert world.api.count("get", SECRET) == 2
    assert "hunter2" not in repr(first)


@pytest.mark.parametrize(
    ("value", "told"),
    [(b"hunter\xff2", "not UTF-8"), (b"\xef\xbb\xbfhunter2", "byte order mark"), (None, "does not exist")],
)
async def test_bytes_that_are_no_password_are_told_as_what_they_are(
    world: World, value: bytes | None, told: str
) -> None:
    """Of a key that is there is not said that it is missing, and nothing of its value (R1)."""
    world.secret()
    world.api.objects[SECRET]["data"] = {} if value is None else {"password": base64.b64encode(value).decode()}
    found = await world.reader.read_for(USER, plan(), fresh=True)
    assert found.secret is not None
    assert told in found.secret.problem
    assert "hunter" not in repr(found)


async def test_an_outage_says_nothing_about_a_secret_that_was_read(world: World) -> None:
    """A refresh that the API server does not answer leaves what was known, or every outage would hold all mail."""
    world.secret()
    before = await world.reader.read_for(USER, plan(), fresh=True)
    world.api.failing = errors.UnavailableError("down")
    during = await world.reader.read_for(USER, plan(), fresh=True)
    assert during.secret == before.secret
    assert (before.is_answered, during.is_answered) == (True, False)


async def test_a_read_under_way_answers_nobody_who_asks_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have found what was there before the change that they ask about; one read answers all who asked (R9)."""
    other = keys.organization("team-a", "other")
    world.secret("1")
    await world.reader.read_for(USER, plan(), fresh=True)
    is_read, goes_on, get = asyncio.Event(), asyncio.Event(), world.api.get

    async def get_slowly(path: str) -> api.Object:
        found = await get(path)
        is_read.set()
        await goes_on.wait()
        return found

    monkeypatch.setattr(world.api, "get", get_slowly)
    under_way = asyncio.create_task(world.reader.read_for(USER, plan(), fresh=True))
    await is_read.wait()
    monkeypatch.undo()
    world.secret("2")
    asking = [asyncio.create_task(world.reader.read_for(user, plan(), fresh=True)) for user in (USER, other)]
    await asyncio.sleep(0)
    goes_on.set()
    found = [await task for task in (under_way, *asking)]
    assert [read.secret.version for read in found if read.secret] == ["u/1", "u/2", "u/2"]
    assert world.api.count("get", SECRET) == 3


async def test_an_outage_at_the_first_read_is_told(world: World) -> None:
    """What was never read is not known to be there."""
    world.api.failing = errors.UnavailableError("down")
    found = await world.reader.read_for(USER, plan(), fresh=True)
    assert found.secret is not None
    assert found.secret.outcome == OUTCOME.UNAVAILABLE


async def test_a_user_that_changes_its_mind_after_a_failed_read_is_served(world: World) -> None:
    """A bundle that could not be published must not leave the reader in a state that every retry trips over."""
    ca = {"smtp": {"host": "smtp.example.org", "tls": {"caRef": {"kind": "ConfigMap", "name": "ca"}}}}
    world.secret()
    world.api.objects[paths.config_maps("team-a", "ca")] = {"data": {"ca.crt": trustme.CA().cert_pem.bytes().decode()}}
    world.refused = errors.UnavailableError("down")
    # Sets have no order, so that either need may be the one that is read first.
    await world.reader.read_for(USER, plan(**ca), fresh=True)
    for _ in range(3):
        found = await world.reader.read_for(USER, plan(), fresh=True)
        assert found.secret is not None
    world.reader.release(USER)


async def test_everybody_hears_of_what_one_user_has_read_anew(world: World) -> None:
    """Two organizations share a Secret: a change of the one's settings shows the other the new password as well."""
    other = keys.organization("team-a", "other")
    world.secret("1")
    for user in (USER, other):
        await world.reader.read_for(user, plan(), fresh=True)
    world.secret("2")
    await world.reader.read_for(USER, plan(), fresh=True)
    assert world.changed == [other]


@contextlib.asynccontextmanager
async def scheduled() -> collections.abc.AsyncIterator[World]:
    """Run a reader's schedule in virtual time."""
    world = World(asyncio.get_running_loop().time)
    task = asyncio.create_task(world.reader.run())
    try:
        yield world
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def use(world: World, user: keys.Key, name: str, *, satisfied: bool, namespace: str = "team-a") -> None:
    """Have a user refer to a Secret."""
    auth = {"username": "team", "passwordSecretRef": {"name": name}}
    await world.reader.read_for(
        user, tiers.plan(tiers.RELAY, {**tiers.OWN, "auth": auth}, namespace=namespace), fresh=True
    )
    world.reader.judge(user, satisfied=satisfied)


@pytest.mark.parametrize(
    ("user", "within_seconds"), [(keys.HOST, 15), (USER, 60)], ids=["the host's", "an organization's"]
)
def test_a_rotation_is_seen_by_the_schedule(user: keys.Key, within_seconds: float) -> None:
    """The host's Secret is read every 15 s, an organization's every 60 s (R9)."""

    async def rotate() -> None:
        async with scheduled() as world:
            world.secret("1")
            await use(world, user, "smtp", satisfied=True)
            for version in range(2, 7):
                await asyncio.sleep(within_seconds * 1.7)
                world.changed.clear()
                world.secret(str(version))
                await asyncio.sleep(within_seconds + 0.1)
                assert world.changed == [user]

    virtual_time.run(rotate())


def test_what_is_missing_is_found_soon_however_long_it_was_missing() -> None:
    """Whoever creates the Secret after ten minutes waits for no more than 15 s (R9)."""

    async def create() -> None:
        async with scheduled() as world:
            await use(world, USER, "smtp", satisfied=False)
            # At no moment at which a pause that doubled without a bound would have come to its end.
            await asyncio.sleep(620)
            assert world.api.count("get", SECRET) <= 620 / 15 + 3
            world.secret()
            await asyncio.sleep(15.1)
            assert world.changed == [USER]

    virtual_time.run(create())


def test_what_may_not_be_read_is_asked_for_ever_more_rarely() -> None:
    """A 403 is no reason to fill the audit log: the pause grows to five minutes (R9)."""

    async def forbid() -> None:
        async with scheduled() as world:
            world.api.failing = errors.ForbiddenError("no", status=403)
            await use(world, USER, "smtp", satisfied=False)
            await asyncio.sleep(3600)
            assert 12 <= world.api.count("get", SECRET) <= 20
            world.api.failing = None
            world.secret()
            await asyncio.sleep(301)
            assert world.changed == [USER]

    virtual_time.run(forbid())


def test_one_namespace_cannot_use_up_the_reads_of_all() -> None:
    """A thousand missing Secrets are read at most 50 times a second, and a neighbour's in its time (R9, R15)."""
    secret = paths.secrets("team-b", "smtp")

    def time() -> float:
        return asyncio.get_running_loop().time()

    async def next_read(world: World) -> float:
        before = world.api.count("get", secret)
        while world.api.count("get", secret) == before:  # noqa: ASYNC110 - In virtual time, which costs nothing.
            await asyncio.sleep(0.1)
        return time()

    async def crowd() -> None:
        neighbour = keys.organization("team-b", "default")
        async with scheduled() as world:
            await use(world, neighbour, "smtp", satisfied=True, namespace="team-b")
            for number in range(1_000):
                await use(world, keys.organization("team-a", f"o{number}"), f"missing-{number}", satisfied=False)
            assert world.reader.period.total_seconds() == 60
            begun = len(world.api.requests)
            started = time()
            first, second = [await next_read(world) for _ in range(2)]
            # The crowd's reads are due faster than they may be made: in one line they would be before the neighbour's.
            assert second - first < 62
            assert len(world.api.requests) - begun <= reads.PER_SECOND * (second - started + 1)

    virtual_time.run(crowd())


def test_the_period_stretches_beyond_what_the_budget_reads_in_a_minute(world: World) -> None:
    """The more there is, the more rarely each is read, and by how much is known (R9)."""

    async def fill() -> None:
        for number in range(3_001):
            await use(world, keys.organization("team-a", f"o{number}"), f"s{number}", satisfied=True)
            world.now += 1
        assert world.reader.period.total_seconds() == 120

    virtual_time.run(fill())


@pytest.mark.parametrize(("version", "is_read"), [("u/1", False), ("u/2", True), (None, True)])
def test_whoever_knows_better_has_it_read_at_once(version: str | None, is_read: bool) -> None:
    """A probe with another version than is known, or one that was refused, is a reason to read; others are none."""

    async def contradict() -> None:
        async with scheduled() as world:
            world.secret("1")
            await use(world, USER, "smtp", satisfied=True)
            before = world.api.count("get", SECRET)
            world.secret("2")
            world.reader.read_again(USER, version=version)
            await asyncio.sleep(0.1)
            assert world.api.count("get", SECRET) - before == is_read
            assert bool(world.changed) == is_read

    virtual_time.run(contradict())


CERTIFICATE = paths.secrets("team-a", "client")


def _with_certificate() -> resolve.Plan:
    return plan(smtp={"host": "smtp.example.org", "tls": {"clientCertificateRef": {"name": "client"}}})


async def test_a_client_certificate_ends_without_a_change_of_its_secret(world: World, tmp_path: pathlib.Path) -> None:
    """It is read by the schedule as a password is (R9), and its users are told when it has ended; no key is kept."""
    leaf = certs.Authority(tmp_path).issue("c.example.org", not_after=specs.NOW + dt.timedelta(hours=1))
    values = {"tls.crt": leaf.cert_path.read_bytes(), "tls.key": leaf.key_path.read_bytes()}
    world.secret()
    world.api.objects[CERTIFICATE] = {
        "metadata": {
            "uid": "c",
            "resourceVersion": "1",
            "annotations": {"mailtier.dev/endpoint": "smtp.example.org:587"},
        },
        "type": "kubernetes.io/tls",
        "data": {key: base64.b64encode(value).decode() for key, value in values.items()},
    }
    found = await world.reader.read_for(USER, _with_certificate(), fresh=True)
    assert found.certificate is not None
    assert (found.certificate.outcome, found.certificate.unfit) == (OUTCOME.FOUND, None)
    assert found.certificate.expires_at == specs.NOW + dt.timedelta(hours=1)
    assert "PRIVATE" not in repr(found)
    world.wall = specs.NOW + dt.timedelta(hours=2)
    later = await world.reader.read_for(USER, _with_certificate(), fresh=True)
    assert later.certificate is not None
    assert later.certificate.version == found.certificate.version
    assert later.certificate.problem.startswith("the certificate ended on")


async def test_only_a_secret_that_somebody_read_otherwise_is_read_again(world: World) -> None:
    """A probe names the versions of all that it authenticated with; what is known here in that version stays."""
    world.secret("1")
    world.api.objects[CERTIFICATE] = {"metadata": {"uid": "c", "resourceVersion": "1"}, "data": {}}
    await world.reader.read_for(USER, _with_certificate(), fresh=True)
    queued = world.reader._schedule
    world.reader.read_again(USER, version="u/1 c/1")
    assert len(queued) == 0
    world.reader.read_again(USER, version="u/1 c/2")
    assert len(queued) == 1
