"""A client of the intake, as an application would write one."""

import dataclasses
import json
import ssl
import typing

import aiohttp

from kit import tenants, wait
from mailtier.sender.intake.http import problems

ALERT = {"category": "JobAlert", "severity": "Error", "text": "Job 7 failed."}
"""A notification that goes to its category's recipients."""

_SECONDS = 30


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the intake answered.

    Attributes:
        document: The JSON of the body.
    """

    status: int
    headers: typing.Mapping[str, str]
    document: dict[str, typing.Any]

    @property
    def slug(self) -> str:
        """The end of a problem's type."""
        return str(self.document.get("type", "")).rpartition("#")[2]


class Client:
    """Talks to one intake, while its context is entered.

    Args:
        url: Where the intake is.
        tls: Trusts the intake's CA.
    """

    def __init__(self, url: str, tls: ssl.SSLContext) -> None:
        self._url = url
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> typing.Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls, limit=0),
            timeout=aiohttp.ClientTimeout(total=_SECONDS),
        )
        return self

    async def __aexit__(self, *exception: object) -> None:
        assert self._session is not None
        await self._session.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Return the answer to a request; `body` is sent as JSON, `data` as it is."""
        assert self._session is not None
        content = data if body is None else json.dumps(body).encode()
        usual = {} if content is None else {"Content-Type": "application/json"}
        async with self._session.request(
            method, self._url + path, data=content, headers={**usual, **(headers or {})}
        ) as answer:
            return Answer(
                status=answer.status, headers=dict(answer.headers), document=await answer.json(content_type=None)
            )

    async def post(
        self,
        tenant: tenants.Tenant,
        body: object = None,
        *,
        organization: str = "default",
        token: str | None = None,
        key: str | None = None,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Return the answer to a notification, sent with the tenant's own token unless told otherwise."""
        sent = {"Authorization": f"Bearer {token or tenant.token}"}
        if key is not None:
            sent["Idempotency-Key"] = key
        return await self.request(
            "POST", tenant.collection(organization), body=body, data=data, headers={**sent, **(headers or {})}
        )

    async def post_batch(
        self,
        tenant: tenants.Tenant,
        body: object = None,
        *,
        organization: str = "default",
        token: str | None = None,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Return the answer to a batch, sent with the tenant's own token unless told otherwise."""
        sent = {"Authorization": f"Bearer {token or tenant.token}", **(headers or {})}
        path = f"{tenant.collection(organization)}:batch"
        return await self.request("POST", path, body=body, data=data, headers=sent)

    async def look_up(self, tenant: tenants.Tenant, answer: Answer) -> dict[str, typing.Any]:
        """Return where a notification that was taken stands."""
        found = await self.request(
            "GET", answer.document["status"], headers={"Authorization": f"Bearer {tenant.token}"}
        )
        assert found.status == 200, found
        return found.document


def alone(tenant: tenants.Tenant, notification_id: str) -> Answer:
    """Return what would have answered a notification of a batch if it had come alone."""
    path = f"{tenant.collection()}/{notification_id}"
    return Answer(status=202, headers={"Location": path}, document={"id": notification_id, "status": path})


def require(answer: Answer, kind: problems.ProblemKind) -> dict[str, typing.Any]:
    """Check that an answer is a whole problem document of a kind, and return it."""
    assert (answer.status, answer.slug) == (kind.status, kind.slug), answer
    assert answer.headers["Content-Type"].startswith(problems.MEDIA_TYPE)
    assert answer.document["title"] == kind.title
    assert answer.document["status"] == kind.status
    assert answer.document["detail"]
    return answer.document


async def until_known(client: Client, tenant: tenants.Tenant, organization: str = "default") -> None:
    """Return when the sender has read an organization's settings."""

    async def is_known() -> bool:
        # Nothing is taken of an empty body, and an unknown organization is said to be one before it is looked at.
        return (await client.post(tenant, {}, organization=organization)).status == 422

    await wait.until_async(is_known, within_seconds=10, why=f"the sender knows {tenant.namespace}/{organization}")


async def until_complete(client: Client, tenant: tenants.Tenant, taken: Answer) -> dict[str, typing.Any]:
    """Return where a notification stands once every recipient has a final state."""

    async def look() -> dict[str, typing.Any]:
        found = await client.look_up(tenant, taken)
        return found if found["complete"] else {}

    return await wait.until_async(look, within_seconds=20, why=f"{taken.document['id']} is complete")
