"""A client of the sender's intake."""

import asyncio
import contextlib
import dataclasses
import http
import json
import ssl
import urllib.parse
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Final, Self

import aiohttp
from aiohttp import http_exceptions

import mailtier
from mailtier.api import secret
from mailtier.cli import failures, terminal
from mailtier.cli.online import target

_CONNECT_SECONDS: Final = 15.0
_DETAIL_LENGTH: Final = 2000
_NOT_THE_INTAKE_S: Final = "the answer is not the intake's; is it Mailtier that listens there?"
_RECIPIENT: Final = ("address", "state", "reason", "message")
"""What is told of each recipient."""

_SUPPRESSION: Final = ("organization", "address", "refusedAt", "until")

_BUSY: Final = frozenset({http.HTTPStatus.TOO_MANY_REQUESTS, http.HTTPStatus.SERVICE_UNAVAILABLE})


class RefusedError(failures.CommandError):
    """The intake said no.

    Attributes:
        http_status: Of the answer.
        retry_after_seconds: When it may be asked again; None where asking again is of no use.
    """

    def __init__(self, message: str, *, http_status: int, retry_after_seconds: float | None) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.retry_after_seconds = retry_after_seconds


class UnreachableError(failures.CommandError):
    """The intake could not be asked, or its answer was lost."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class IntakeAddress:
    """Where the intake is, and how it is trusted.

    Attributes:
        shown: What people call it.
        url: Without a trailing slash.
        server_name: What its certificate is checked for, where it is not the URL's host.
    """

    shown: str
    url: str
    tls: ssl.SSLContext
    server_name: str | None = None


class IntakeClient:
    """The intake, while its context is entered.

    Args:
        address: Where it is.
        token: The caller's.
    """

    def __init__(self, address: IntakeAddress, token: secret.Hidden) -> None:
        self._address = address
        self._token = token
        self._entered: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._entered = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._address.tls),
            headers={aiohttp.hdrs.USER_AGENT: f"mailtier/{mailtier.__version__}"},
            # How long the whole may take, the command knows.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
        )
        return self

    async def __aexit__(self, *exception: object) -> None:
        assert self._entered is not None
        await self._entered.close()

    async def probe(
        self, organization: target.OrganizationName | None, *, again: bool = False, at_fallback: bool = False
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Probe an organization's endpoint, or the host's own; yield what comes, line by line.

        Args:
            organization: Whose; None for the host.
            again: Whether a login that was refused is to be tried once more.
            at_fallback: Whether the fallback is to be probed in place of the first server.

        Raises:
            RefusedError: There is no probe.
            UnreachableError: The intake cannot be asked, or the end of the probe was lost.
        """
        path = "/v1/host/probes" if organization is None else f"{_base(organization)}/probes"
        query = [*(["again=true"] if again else []), *(["server=fallback"] if at_fallback else [])]
        path += f"?{'&'.join(query)}" if query else ""
        async with self._request("POST", path) as answer:
            with _transport(self._address):
                while line := await _line(answer.content):
                    yield _document(line)

    async def notify(
        self, organization: target.OrganizationName, content: Mapping[str, Any], *, key: str
    ) -> dict[str, Any]:
        """Hand a notification over, and return its id and the path to look it up at.

        Raises:
            RefusedError: It is not taken.
            UnreachableError: Nobody knows; the same key may be sent again.
        """
        path = f"{_base(organization)}/notifications"
        async with self._request("POST", path, body=content, headers={"Idempotency-Key": key}) as answer:
            with _transport(self._address):
                taken = _document(await answer.read())
        if not (_are_texts(taken, "id", "status") and taken["status"].startswith("/")):
            raise UnreachableError(_NOT_THE_INTAKE_S)
        return taken

    async def look_up(self, path: str) -> dict[str, Any]:
        """Return where a notification's recipients stand.

        Raises:
            RefusedError: It is not told.
            UnreachableError: The intake cannot be asked.
        """
        async with self._request("GET", path) as answer:
            with _transport(self._address):
                record = _document(await answer.read())
        recipients = record.get("recipients")
        if not isinstance(recipients, list) or not all(_are_texts(each, *_RECIPIENT) for each in recipients):
            raise UnreachableError(_NOT_THE_INTAKE_S)
        return record

    async def page(self, namespace: str, query: Mapping[str, str]) -> tuple[list[dict[str, Any]], str | None]:
        """Return a page of a namespace's notifications, and what the next one is asked for with; None at the end.

        Raises:
            RefusedError: It is not told.
            UnreachableError: The intake cannot be asked.
        """
        found = await self._ask("GET", f"{_filed(namespace)}?{urllib.parse.urlencode(query)}")
        items, following = found.get("items"), found.get("continue")
        if not isinstance(items, list) or not all(map(_is_filed, items)):
            raise UnreachableError(_NOT_THE_INTAKE_S)
        return items, following if isinstance(following, str) else None

    async def filed(self, namespace: str, notification_id: str) -> dict[str, Any]:
        """Return a notification of a namespace.

        Raises:
            RefusedError: It is not told.
            UnreachableError: The intake cannot be asked.
        """
        found = await self._ask("GET", f"{_filed(namespace)}/{urllib.parse.quote(notification_id, safe='')}")
        if not _is_filed(found):
            raise UnreachableError(_NOT_THE_INTAKE_S)
        return found

    async def act(self, action: str, namespace: str, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Do something with notifications of a namespace, and return what became of each.

        Args:
            action: retry or drop.
            namespace: By its name.
            ids: At most 100.

        Raises:
            RefusedError: It is not done.
            UnreachableError: Nobody knows.
        """
        found = await self._ask("POST", f"{_filed(namespace)}:{action}", body={"ids": list(ids)})
        results = found.get("results")
        if not isinstance(results, list) or not all(_are_texts(each, "id") for each in results):
            raise UnreachableError(_NOT_THE_INTAKE_S)
        return results

    async def suppressions(self, namespace: str) -> list[dict[str, Any]]:
        """Return the addresses to which a namespace's organizations send nothing.

        Raises:
            RefusedError: They are not told.
            UnreachableError: The intake cannot be asked.
        """
        path, items, following = f"/v1/namespaces/{namespace}/suppressions", list[dict[str, Any]](), ""
        while True:
            found = await self._ask("GET", f"{path}{following}")
            page = found.get("items")
            if not isinstance(page, list) or not all(_are_texts(each, *_SUPPRESSION) for each in page):
                raise UnreachableError(_NOT_THE_INTAKE_S)
            items += page
            if not isinstance(after := found.get("continue"), str):
                return items
            following = f"?continue={urllib.parse.quote(after, safe='')}"

    async def clear_suppressions(self, namespace: str, wanted: Mapping[str, Any]) -> int:
        """Let addresses be tried again, and return how many were known.

        Args:
            namespace: By its name.
            wanted: `organization` and `addresses`, of which at most 100; both may be absent.

        Raises:
            RefusedError: They are not.
            UnreachableError: Nobody knows.
        """
        found = await self._ask("POST", f"/v1/namespaces/{namespace}/suppressions:clear", body=wanted)
        if not isinstance(cleared := found.get("cleared"), int):
            raise UnreachableError(_NOT_THE_INTAKE_S)
        return cleared

    async def resume(self) -> dict[str, Any]:
        """End the hold of a restored queue; return whether there was one, and of when the backup is.

        Raises:
            RefusedError: It is not ended.
            UnreachableError: The intake cannot be asked.
        """
        return await self._ask("POST", "/v1/host/queue:resume")

    async def release(self, organization: target.OrganizationName) -> dict[str, Any]:
        """Have an organization's messages tried now; return whether there are any, and what still holds them.

        Raises:
            RefusedError: They are not.
            UnreachableError: The intake cannot be asked.
        """
        return await self._ask("POST", f"{_base(organization)}:release")

    async def _ask(self, method: str, path: str, *, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        async with self._request(method, path, body=body) as answer:
            with _transport(self._address):
                return _document(await answer.read())

    @contextlib.asynccontextmanager
    async def _request(
        self, method: str, path: str, *, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        assert self._entered is not None
        with _transport(self._address):
            answer = await self._entered.request(
                method,
                self._address.url + path,
                json=body,
                headers={"Authorization": f"Bearer {self._token.reveal}", **(headers or {})},
                server_hostname=self._address.server_name,
                # A redirect would carry the token to somewhere else.
                allow_redirects=False,
            )
        async with answer:
            if answer.status >= http.HTTPStatus.MULTIPLE_CHOICES:
                with _transport(self._address):
                    raise _refused(answer.status, answer.headers, await answer.read(), sent=body)
            yield answer


def _base(organization: target.OrganizationName) -> str:
    return f"/v1/namespaces/{organization.namespace}/organizations/{organization.name}"


def _filed(namespace: str) -> str:
    return f"/v1/namespaces/{namespace}/notifications"


def _is_filed(found: object) -> bool:
    """Return whether this is a notification as it is listed."""
    if not _are_texts(found, "id", "organization", "category", "acceptedAt"):
        return False
    recipients = found.get("recipients") if isinstance(found, dict) else None
    return isinstance(recipients, list) and all(_are_texts(each, *_RECIPIENT) for each in recipients)


def _document(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UnreachableError(_NOT_THE_INTAKE_S)
    return found


def _are_texts(document: object, *names: str) -> bool:
    """Return whether a document is an object in which each of these is a text."""
    return isinstance(document, dict) and all(isinstance(document.get(name), str) for name in names)


async def _line(content: aiohttp.StreamReader) -> bytes:
    """Return the next line; an empty one at the end."""
    try:
        return await content.readline()
    except http_exceptions.LineTooLong as error:
        # It is longer than aiohttp reads, and any line of a probe is far shorter.
        raise UnreachableError(_NOT_THE_INTAKE_S) from error


def _refused(status: int, headers: Mapping[str, str], body: bytes, *, sent: Mapping[str, Any] | None) -> RefusedError:
    try:
        problem = json.loads(body)
    except ValueError:
        problem = None
    problem = problem if isinstance(problem, dict) else {}
    told = str(problem.get("detail") or f"the intake answered with {status}")
    # They follow here.
    told = told.removesuffix("; see errors")
    errors = [each for each in problem.get("errors") or () if isinstance(each, dict)]
    fields: dict[str, list[str]] = {}
    for each in errors:
        fields.setdefault(str(each.get("detail", "")), []).append(_field(str(each.get("pointer", "")), sent))
    for detail in fields:
        # What is wrong with a field is said of the field, and not once more before it.
        told = told.removesuffix(detail).rstrip(": ")
    text = ": ".join(
        filter(None, (told, "; ".join(f"{', '.join(names)}: {detail}" for detail, names in fields.items())))
    )
    after = headers.get("Retry-After", "")
    may_retry = status in _BUSY and after.isascii() and after.isdigit()
    return RefusedError(
        terminal.plain(text)[:_DETAIL_LENGTH],
        http_status=status,
        retry_after_seconds=float(after) if may_retry else None,
    )


def _field(pointer: str, sent: Mapping[str, Any] | None) -> str:
    """Return what a pointer (RFC 6901 section 6) names in what was sent, with the address that stands there."""
    path = pointer.removeprefix("#/")
    group, _, position = path.partition("/")
    recipients = (sent or {}).get("recipients") or ()
    if group == "recipients" and position.isascii() and position.isdigit() and int(position) < len(recipients):
        return f"{path} ({recipients[int(position)]})"
    return path


@contextlib.contextmanager
def _transport(address: IntakeAddress) -> Iterator[None]:
    """Turn what goes wrong below HTTP into one line."""
    try:
        yield
    except aiohttp.ClientConnectorCertificateError as error:
        raise failures.CommandError(
            f"the certificate of {address.shown} is not trusted ({error.certificate_error}): give its authority with"
            " --ca, or the name it is for with --server-name"
        ) from error
    except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
        told = str(error) or type(error).__name__
        raise UnreachableError(f"{address.shown} cannot be reached: {told}") from error
