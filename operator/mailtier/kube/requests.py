"""One request to the Kubernetes API and what may come of it: the parts of `client` that know no session."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import aiohttp
import msgspec

from mailtier.kube import errors, listings, paths
from mailtier.telemetry import metrics

Object = dict[str, Any]
"""A Kubernetes object, as JSON."""

JSON: Final = "application/json"
_RETRY_LIMIT_SECONDS: Final = 5.0
_LINE_LIMIT_BYTES: Final = listings.MAXIMUM_OBJECT_BYTES


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What is asked, without the body: all that a message may quote."""

    verb: str
    path: str
    content_type: str = JSON
    accept: str = JSON

    def __str__(self) -> str:
        return f"{self.verb} {self.path}"

    @property
    def resource(self) -> str:
        """Return the plural of the kind that is asked for."""
        return paths.resource(self.path)


@contextlib.contextmanager
def transport(call: Call) -> Iterator[None]:
    """Turn what goes wrong below HTTP into UnavailableError."""
    try:
        yield
    except TimeoutError as error:
        metrics.count_api_request(verb=call.verb, resource=call.resource, code="timeout")
        raise errors.UnavailableError(f"{call}: the apiserver did not answer in time") from error
    except (aiohttp.ClientError, OSError) as error:
        metrics.count_api_request(verb=call.verb, resource=call.resource, code="error")
        raise errors.UnavailableError(f"{call}: {type(error).__name__}: {error}") from error


def retry_after(answer: aiohttp.ClientResponse) -> float:
    """Return how many seconds the apiserver asks us to wait, within reason; it sends whole seconds."""
    text = answer.headers.get("Retry-After", "")
    return min(float(text), _RETRY_LIMIT_SECONDS) if text.isascii() and text.isdigit() else 1.0


def decoded(body: bytes, call: Call) -> Object:
    """Return the object that an answer holds.

    Raises:
        UnavailableError: It holds none.
    """
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = None
    if not isinstance(found, dict):
        # The cause is left out: a decoder's exception holds the whole text (R1).
        raise errors.UnavailableError(f"{call}: the answer is not a JSON object")
    return found


class _Metadata(msgspec.Struct):
    """Which object it is."""

    uid: str


class _Applied(msgspec.Struct):
    """What is read of the answer to an apply."""

    metadata: _Metadata


_APPLIED: Final = msgspec.json.Decoder(_Applied)


def uid(body: bytes | None, call: Call) -> str:
    """Return the uid of the object that an answer holds.

    Raises:
        UnavailableError: It holds none.
    """
    try:
        return _APPLIED.decode(body or b"").metadata.uid
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise errors.UnavailableError(f"{call}: the answer is not an object") from None


async def lines(answer: aiohttp.ClientResponse, call: Call) -> AsyncIterator[bytes]:
    """Yield whole lines; aiohttp's own reader refuses lines as long as an object may be."""
    parts: list[bytes] = []
    async for chunk in answer.content.iter_any():
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            line = b"".join([*parts, end])
            parts.clear()
            if line:
                yield line
        parts.append(rest)
        if sum(map(len, parts)) > _LINE_LIMIT_BYTES:
            raise errors.UnavailableError(f"{call}: an event is longer than {_LINE_LIMIT_BYTES} bytes")
