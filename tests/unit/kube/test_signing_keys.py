"""The cluster's keys, and how often they are asked for."""

import collections.abc
import dataclasses
import typing

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from kit import tokens
from mailtier.kube import client, errors, signing_keys

Serve = collections.abc.Callable[..., collections.abc.Awaitable[client.Client]]


@dataclasses.dataclass
class _Publisher:
    """An apiserver that publishes the keys that the test decides."""

    keys: list[ec.EllipticCurvePrivateKey]
    status: int = 200
    now: float = 0.0
    asked: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        """Answer with the keys."""
        assert request.path == "/openid/v1/jwks"
        # A kube-apiserver answers another wish with 406.
        assert request.headers["Accept"] == "application/jwk-set+json"
        self.asked += 1
        published: dict[str, typing.Any] = {"keys": [tokens.published(key) for key in self.keys]}
        return web.json_response(published, status=self.status)


async def _keys(publisher: _Publisher, serve: Serve) -> signing_keys.SigningKeys:
    return signing_keys.SigningKeys(await serve(publisher.handle), monotonic=lambda: publisher.now)


async def test_a_flood_of_unknown_keys_is_one_question_in_ten_seconds(serve: Serve) -> None:
    """Tokens that name made-up keys cost one reading of the keys in ten seconds, however many they are (R15)."""
    publisher = _Publisher([tokens.new_key()])
    checked = await _keys(publisher, serve)
    for publisher.now, asked in ((0.0, 1), (5.0, 1), (9.9, 1), (10.0, 2), (11.0, 2)):
        for _ in range(50):
            with pytest.raises(signing_keys.ForgedError):
                await checked.check(tokens.signed({}, tokens.new_key()))
        assert publisher.asked == asked


async def test_a_new_key_is_found(serve: Serve) -> None:
    """After the cluster changed its keys, a token of the new one is taken within ten seconds, and old ones still."""
    old, new = tokens.new_key(), tokens.new_key()
    publisher = _Publisher([old])
    checked = await _keys(publisher, serve)
    await checked.check(tokens.signed({}, old))
    publisher.keys.append(new)
    publisher.now = 10
    await checked.check(tokens.signed({}, new))
    await checked.check(tokens.signed({}, old))
    assert publisher.asked == 2


async def test_a_known_key_waits_for_nothing(serve: Serve) -> None:
    """Known keys are read again every five minutes, and go on to hold while the apiserver does not answer (R13)."""
    key = tokens.new_key()
    publisher = _Publisher([key])
    checked = await _keys(publisher, serve)
    for publisher.now, publisher.status in ((0.0, 200), (299.0, 503), (301.0, 503), (10_000.0, 503)):
        await checked.check(tokens.signed({}, key))
        # Who names an unknown key does wait for the reading that is under way.
        with pytest.raises(signing_keys.ForgedError):
            await checked.check(tokens.signed({}, tokens.new_key()))


async def test_without_keys_nobody_is_let_in(serve: Serve) -> None:
    """While the keys were never read the answer is unknown; it is asked for again with the next token (R13)."""
    key = tokens.new_key()
    publisher = _Publisher([key], status=503)
    checked = await _keys(publisher, serve)
    for _ in range(2):
        with pytest.raises(errors.UnavailableError):
            await checked.check(tokens.signed({}, key))
    publisher.status = 200
    await checked.check(tokens.signed({}, key))


@pytest.mark.parametrize("status", [403, 404])
async def test_a_cluster_that_publishes_no_keys_leaves_it_to_the_review(serve: Serve, status: int) -> None:
    """Where the keys may not be read, the review alone decides; what has no form of a token is refused still."""
    publisher = _Publisher([], status=status)
    checked = await _keys(publisher, serve)
    await checked.check(tokens.signed({}, tokens.new_key()))
    with pytest.raises(signing_keys.ForgedError):
        await checked.check(tokens.unsigned({}, {"alg": "none"}))
    for publisher.now in (1.0, 5.0, 9.0):
        await checked.check(tokens.signed({}, tokens.new_key()))
    assert publisher.asked == 1
