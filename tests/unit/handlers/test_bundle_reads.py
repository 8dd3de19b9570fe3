"""CA bundles: read, checked once for each content, and published within a namespace's share."""

import base64
import typing

import pytest
import trustme

from kit import api
from mailtier.handlers import bundle_reads
from mailtier.kube import errors, paths
from mailtier.settings import bundles, observed

NEED = observed.CaNeed(kind="ConfigMap", namespace="team-a", name="ca", key="ca.crt")
OUTCOME = observed.ReadOutcome
MEBIBYTE = 1024 * 1024


class World:
    """A reader with an API server in memory."""

    def __init__(self) -> None:
        self.api = api.Api()
        self.now = 0.0
        self.published: list[str] = []
        self.refused: errors.ApiError | None = None
        self.reader = bundle_reads.BundleReads(
            typing.cast("typing.Any", self.api),
            publish=self._publish,
            is_published=lambda digest: digest in self.published,
            monotonic=lambda: self.now,
        )

    async def _publish(self, bundle: bundles.Bundle) -> None:
        if self.refused is not None:
            raise self.refused
        self.published.append(bundle.digest)

    def put(self, **content: dict[str, str]) -> None:
        """Have a ConfigMap."""
        self.api.objects[paths.config_maps("team-a", "ca")] = content


@pytest.fixture
def world() -> World:
    """Return a reader that has read nothing."""
    return World()


@pytest.fixture
def pem() -> str:
    """Return a certificate authority's certificate."""
    return trustme.CA().cert_pem.bytes().decode()


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how long each text was that was parsed from now on."""
    lengths: list[int] = []
    parse = bundles.parse

    def counted(text: str) -> bundles.Bundle:
        lengths.append(len(text))
        return parse(text)

    monkeypatch.setattr(bundles, "parse", counted)
    return lengths


async def test_what_is_published_is_checked_and_written_once(world: World, pem: str, parsed: list[int]) -> None:
    """The same content is parsed once, however often it is read, and by whatever name (R10)."""
    world.put(data={"ca.crt": pem})
    found = [await world.reader.fetch(NEED) for _ in range(3)]
    assert [read.digest for read in found] == [bundles.parse(pem).digest] * 3
    assert (len(parsed), len(world.published)) == (2, 1)
    world.put(data={"ca.crt": "nothing"})
    assert (await world.reader.fetch(NEED)).problem == (await world.reader.fetch(NEED)).problem != ""
    assert len(parsed) == 3


async def test_what_is_published_no_more_is_published_again(world: World, pem: str) -> None:
    """What was removed while nobody used it, or changed by somebody else, is written again when it is read."""
    world.put(data={"ca.crt": pem})
    first = await world.reader.fetch(NEED)
    world.published.clear()
    await world.reader.fetch(NEED)
    assert world.published == [first.digest]
    world.reader.forget(first.digest)
    await world.reader.fetch(NEED)
    assert world.published == [first.digest] * 2


async def test_a_digest_is_not_given_out_before_the_bundle_is_there(world: World, pem: str) -> None:
    """While it cannot be published it counts as unavailable, and is tried again."""
    world.put(data={"ca.crt": pem})
    world.refused = errors.UnavailableError("down")
    assert (await world.reader.fetch(NEED)).outcome == OUTCOME.UNAVAILABLE
    world.refused = None
    assert (await world.reader.fetch(NEED)).digest == world.published[0]


async def test_a_bundle_that_is_no_text_is_told(world: World, pem: str) -> None:
    """A file in UTF-16 lies in binaryData, and is not merely a key that is missing."""
    world.put(binaryData={"ca.crt": base64.b64encode(pem.encode("utf-16")).decode()})
    assert "UTF-16" in (await world.reader.fetch(NEED)).problem
    world.put(data={"other": pem})
    assert (await world.reader.fetch(NEED)).problem == "it has no key ca.crt"


async def test_what_is_refused_for_the_share_is_checked_once(world: World, pem: str, parsed: list[int]) -> None:
    """What a namespace may not have now is not parsed at each read, and is published when it may (R10)."""
    for number in range(bundle_reads.PER_NAMESPACE):
        world.reader.may_publish("team-a", f"{number:064x}", 1)
    world.put(data={"ca.crt": pem})
    found = [await world.reader.fetch(NEED) for _ in range(3)]
    assert all("let its organizations share bundles" in read.problem for read in found)
    assert (len(parsed), world.published) == (1, [])
    world.now += 3600
    assert (await world.reader.fetch(NEED)).digest == world.published[0]


def test_a_namespace_that_has_nothing_is_forgotten(world: World) -> None:
    """Namespaces come and go; of those that have had no bundle for long nothing is kept, nor of who never had any."""
    for number in range(5):
        assert world.reader.may_publish(f"team-{number}", f"{number:064x}", 1)
    assert not world.reader.may_publish("team-x", f"{9:064x}", 5 * MEBIBYTE)
    world.now += 600
    assert world.reader.may_publish("team-0", f"{0:064x}", 1)
    world.now += 600
    assert not world.reader.may_publish("team-x", f"{9:064x}", 5 * MEBIBYTE)
    assert list(world.reader._shares) == ["team-0"]


def test_a_namespace_cannot_fill_the_operators_namespace_with_bundles(world: World) -> None:
    """Each new bundle becomes a ConfigMap of the operator's; one namespace gets only so many (R3, R15)."""
    number = bundle_reads.PER_NAMESPACE
    allowed = [world.reader.may_publish("team-a", f"{found:064x}", 1) for found in range(number + 2)]
    assert allowed.count(True) == number
    assert world.reader.may_publish("team-a", f"{0:064x}", 1)
    assert world.reader.may_publish("team-b", f"{99:064x}", 1)
    world.now += 3600
    assert world.reader.may_publish("team-a", f"{98:064x}", 1)


def test_a_namespace_s_bundles_are_bounded_by_bytes(world: World) -> None:
    """However few they are, they take four mebibytes of everybody's memory and no more (R10, R15)."""
    assert all(world.reader.may_publish("team-a", f"{found:064x}", MEBIBYTE) for found in range(4))
    assert not world.reader.may_publish("team-a", f"{4:064x}", 1)
    assert world.reader.may_publish("team-a", f"{3:064x}", MEBIBYTE)
    assert world.reader.may_publish("team-b", f"{4:064x}", MEBIBYTE)
