"""The sender's reads of Secrets: within a budget, in which namespaces have shares (R9, R15)."""

import asyncio
import typing

import pytest

from kit import api, virtual_time
from mailtier.kube import errors, paths
from mailtier.sender.secrets import credentials, secret_reader

_PER_SECOND = 50
_BURST = 100
_MANY = 1_000


def _reader(known: api.Api) -> secret_reader.KubernetesSecrets:
    return secret_reader.KubernetesSecrets(typing.cast("typing.Any", known), monotonic=asyncio.get_running_loop().time)


def _put(known: api.Api, namespace: str, name: str) -> None:
    known.objects[paths.secrets(namespace, name)] = {"metadata": {"uid": "u", "resourceVersion": "1"}}


def test_a_crowd_of_one_namespace_s_secrets_delays_no_other() -> None:
    """Whoever has a thousand Secrets read waits for their own, and a neighbour's is read within half a second (R15)."""

    async def crowd() -> None:
        known = api.Api()
        reader = _reader(known)
        names = [f"smtp-{number}" for number in range(_MANY)]
        for name in names:
            _put(known, "loud", name)
        _put(known, "team-a", "smtp")
        reads = [asyncio.create_task(reader.read("loud", name)) for name in names]
        await asyncio.sleep(5)
        assert not all(task.done() for task in reads)
        begun = asyncio.get_running_loop().time()
        await reader.read("team-a", "smtp")
        assert asyncio.get_running_loop().time() - begun < 0.5
        await asyncio.gather(*reads)

    virtual_time.run(crowd())


def test_all_reads_together_are_fifty_a_second() -> None:
    """However many namespaces want theirs at once, the API server is asked no more often than that (R9)."""

    async def crowd() -> None:
        known = api.Api()
        reader = _reader(known)
        wanted = [(f"team-{number}", "smtp") for number in range(_MANY)]
        for namespace, name in wanted:
            _put(known, namespace, name)
        loop = asyncio.get_running_loop()
        reads = [asyncio.create_task(reader.read(*each)) for each in wanted]
        for second in range(1, 6):
            await asyncio.sleep(second - loop.time())
            assert len(known.requests) <= _BURST + second * _PER_SECOND
        await asyncio.gather(*reads)
        assert loop.time() < _MANY / _PER_SECOND

    virtual_time.run(crowd())


def test_who_gives_up_leaves_their_share() -> None:
    """A probe that is over before its Secret was read, and a Secret that is not there, cost nobody a turn for good."""

    async def give_up() -> None:
        reader = _reader(api.Api())
        for _ in range(3):
            reads = [asyncio.create_task(reader.read("team-a", f"smtp-{number}")) for number in range(2 * _BURST)]
            await asyncio.sleep(0.1)
            for task in reads[::-2]:
                task.cancel()
            found = await asyncio.gather(*reads, return_exceptions=True)
            assert {type(each) for each in found} == {asyncio.CancelledError, credentials.SecretNotFoundError}

    virtual_time.run(give_up())


@pytest.mark.parametrize(
    ("failing", "expected"),
    [
        (errors.NotFoundError("no", status=404), credentials.SecretNotFoundError),
        (errors.ForbiddenError("no", status=403), credentials.SecretForbiddenError),
        (errors.UnavailableError("no"), credentials.SecretUnavailableError),
    ],
)
async def test_a_read_that_fails_says_why(failing: errors.ApiError, expected: type[Exception]) -> None:
    """The reason that status and holds give is the API server's, and the text names the Secret."""
    known = api.Api()
    known.failing = failing
    with pytest.raises(expected, match="Secret team-a/smtp"):
        await _reader(known).read("team-a", "smtp")
