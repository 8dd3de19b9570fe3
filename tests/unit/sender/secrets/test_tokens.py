"""Who pays for requests to token servers."""

import asyncio
import collections
import types
import typing

from kit import granting, sending, wait, written
from mailtier.api import secret, vocabulary
from mailtier.mail import classify, oauth
from mailtier.sender.net import faults, tls
from mailtier.sender.secrets import credentials, tokens

_EACH = tokens._CONCURRENT_PER_NAMESPACE
_SERVER = types.SimpleNamespace(url="https://login.example.com/token", name="login.example.com", port=443)


class _Names:
    """A resolver that finds nothing, when it is let go on; it notes whose share each lookup takes."""

    def __init__(self) -> None:
        self.payers: list[str | None] = []
        self.go_on = asyncio.Event()

    async def resolve(self, _host: str, _addresses: object, *, payer: str | None) -> typing.NoReturn:
        self.payers.append(payer)
        await self.go_on.wait()
        raise faults.of(classify.Phase.CONNECT, classify.Fault.NAME_NOT_RESOLVED)


def _login(namespace: str, number: int) -> credentials.Credentials:
    return credentials.Credentials(
        identity="robot@example.com",
        password=None,
        generation=credentials.Generation(
            mechanism=vocabulary.Mechanism.XOAUTH2,
            identity="robot@example.com",
            source=(namespace, f"smtp-{number}", "client-secret"),
            version="1",
            oauth2=granting.oauth2_of(typing.cast("typing.Any", _SERVER)),
        ),
        client=oauth.OAuthClient(
            url=_SERVER.url,
            client_id="app",
            grant_type=vocabulary.GrantType.CLIENT_CREDENTIALS,
            scopes=(),
            client_secret=secret.Hidden("client secret"),
        ),
    )


async def test_a_namespace_pays_for_its_requests() -> None:
    """Whose token servers say nothing has four asked at a time, each looked up with its share; others go on (R15)."""
    names = _Names()
    asking = tokens.Tokens(
        names=typing.cast("typing.Any", names),
        contexts=tls.Contexts(written.WrittenSettings()),
        time=sending.Clock().as_clock(),
        entropy=bytes,
    )
    tasks = [asyncio.create_task(asking.get(_login("team-a", number))) for number in range(3 * _EACH)]
    tasks.append(asyncio.create_task(asking.get(_login("team-b", 0))))
    await wait.until_async(lambda: len(names.payers) > _EACH, within_seconds=30, why="another namespace's is asked for")
    assert names.payers == ["team-a"] * _EACH + ["team-b"]
    names.go_on.set()
    found = await asyncio.gather(*tasks)
    assert all(each.failure is not None for each in found)
    assert collections.Counter(names.payers) == {"team-a": 3 * _EACH, "team-b": 1}
