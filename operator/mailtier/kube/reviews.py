"""Who a caller of the intake is, and whether it may notify: asked of the apiserver and remembered briefly (R13)."""

import dataclasses
import datetime as dt
import functools
import hashlib
import re
import time
from collections.abc import Callable
from typing import Any, Final, Literal

from mailtier.api import names
from mailtier.kube import allowances, answers, client, errors, paths, signing_keys, tokens
from mailtier.telemetry import callers

_ALLOW_SECONDS: Final = 60.0
_DENY_SECONDS: Final = 10.0
_REVIEW_SECONDS: Final = 10.0
_LIMIT: Final = 4_096
# RFC 1123 label, as a Namespace's name is.
_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A caller as the apiserver knows it; hashable.

    Attributes:
        extra: Sorted pairs of a key and its values.
    """

    username: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


class UnauthenticatedError(Exception):
    """The caller's token is not accepted; the text says what to do and may be shown to the caller."""


class Authenticator:
    """Tells callers by their ServiceAccount tokens.

    Args:
        api: Who asks.
        audience: Whom a token must be for.
        now: Returns the wall clock's aware UTC time, which expiry is written in.
        monotonic: Returns seconds of a clock that never jumps.
        limit: Answers of each sort that are remembered.
    """

    def __init__(
        self,
        api: client.Client,
        *,
        audience: str = names.TOKEN_AUDIENCE,
        now: Callable[[], dt.datetime],
        monotonic: Callable[[], float] = time.monotonic,
        limit: int = _LIMIT,
    ) -> None:
        self._api = api
        self._audience = audience
        self._now = now
        self._answers: answers.Answers[bytes, Identity | None] = answers.Answers(limit=limit, monotonic=monotonic)
        self._keys = signing_keys.SigningKeys(api, monotonic=monotonic)
        self._allowances = allowances.Allowances(monotonic=monotonic)

    def known(self, token: str) -> Identity | None:
        """Return whose token it is where that was asked lately; None where it has to be asked, or is nobody's."""
        return self._answers.favourable(_digest(token))

    async def authenticate(self, token: str, *, client_address: str) -> Identity:
        """Return whose token it is.

        A token that cannot be right by its own words, or that no key of the cluster signed, costs no request, so that
        a caller who forgot the audience, or a scanner, puts no load on the apiserver. What is left, such as a token
        whose pod is gone, has a bucket for each address (R15).

        Args:
            token: A ServiceAccount's.
            client_address: Where it comes from.

        Raises:
            UnauthenticatedError: Nobody's, or not for us.
            TooManyError: Too many tokens from this address came to nothing.
            UnavailableError: The apiserver did not say; nobody is let in meanwhile.
        """
        # One that was accepted is not taken apart again: it is kept no longer than it is valid.
        identity = await self._answers.get(_digest(token), lambda: self._judge(token, client_address))
        if identity is None:
            raise UnauthenticatedError("the cluster does not accept the token; request a new one")
        return identity

    async def _judge(self, token: str, client_address: str) -> answers.Answer[Identity | None]:
        # What these refuse is not remembered: to look again costs less than to find it among what is.
        try:
            expires_in = tokens.check(token, audience=self._audience, now=self._now())
            await self._keys.check(token)
        except (tokens.UnusableTokenError, signing_keys.ForgedError) as error:
            raise UnauthenticatedError(str(error)) from None
        _charge(self._allowances, client_address, kind="token")
        answer = await self._review(token, expires_in)
        if answer.favourable:
            self._allowances.give_back(client_address)
        return answer

    async def _review(self, token: str, expires_in: dt.timedelta) -> answers.Answer[Identity | None]:
        spec = {"token": token, "audiences": [self._audience]}
        status = await _ask(self._api, paths.TOKEN_REVIEWS, "authentication.k8s.io/v1", "TokenReview", spec)
        # An authenticator that knows nothing of audiences leaves them out; its word is not enough.
        if status.get("authenticated") is not True or self._audience not in (status.get("audiences") or ()):
            return answers.Answer(value=None, favourable=False, seconds=_DENY_SECONDS)
        seconds = min(_ALLOW_SECONDS, expires_in.total_seconds())
        return answers.Answer(value=_identity(status.get("user") or {}), favourable=True, seconds=seconds)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Action:
    """What a caller wants to do.

    Attributes:
        namespace: "" for what is in none.
        name: Of the one object; "" where it has none yet.
    """

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""


_NOTIFY: Final = "create"
_CHANGE_HOST: Final = _Action(verb="update", resource=names.HOST_PLURAL, name=names.HOST_NAME)


class Authorizer:
    """Tells what a caller may do with our kinds.

    Args:
        api: Who asks.
        monotonic: Returns seconds of a clock that never jumps.
        limit: Answers of each sort that are remembered.
    """

    def __init__(
        self, api: client.Client, *, monotonic: Callable[[], float] = time.monotonic, limit: int = _LIMIT
    ) -> None:
        self._api = api
        self._answers: answers.Answers[tuple[Identity, _Action], bool] = answers.Answers(
            limit=limit, monotonic=monotonic
        )
        self._allowances = allowances.Allowances(monotonic=monotonic)

    def is_known_to_notify(self, identity: Identity, namespace: str) -> bool:
        """Return whether it was lately permitted to notify in a namespace; False also where that has to be asked."""
        return self._answers.favourable((identity, _notify(namespace))) is True

    async def may_notify(self, identity: Identity, namespace: str) -> bool:
        """Return whether RBAC permits `create notifications.mailtier.dev` in the namespace.

        Raises:
            TooManyError: Too many questions about this account came to nothing.
            UnavailableError: The apiserver did not say; nothing is permitted meanwhile.
        """
        return await self.may(identity, _NOTIFY, namespace)

    async def may(self, identity: Identity, verb: str, namespace: str) -> bool:
        """Return whether RBAC permits something with `notifications.mailtier.dev` in the namespace.

        Raises:
            TooManyError: As above.
            UnavailableError: As above.
        """
        # An empty namespace would ask for all of them, which is another question.
        if not _NAMESPACE.fullmatch(namespace):
            return False
        return await self._may(identity, _Action(verb=verb, resource=names.NOTIFICATION_PLURAL, namespace=namespace))

    async def may_change_host(self, identity: Identity) -> bool:
        """Return whether RBAC permits `update hostemailsettings.mailtier.dev`.

        Raises:
            TooManyError: Too many questions about this account came to nothing.
            UnavailableError: The apiserver did not say; nothing is permitted meanwhile.
        """
        return await self._may(identity, _CHANGE_HOST)

    async def _may(self, identity: Identity, action: _Action) -> bool:
        return await self._answers.get((identity, action), lambda: self._judge(identity, action))

    async def _judge(self, identity: Identity, action: _Action) -> answers.Answer[bool]:
        _charge(self._allowances, identity.username, kind="access")
        answer = await self._review(identity, action)
        if answer.favourable:
            self._allowances.give_back(identity.username)
        return answer

    async def _review(self, identity: Identity, action: _Action) -> answers.Answer[bool]:
        spec = {
            "user": identity.username,
            "uid": identity.uid,
            "groups": list(identity.groups),
            "extra": {key: list(values) for key, values in identity.extra},
            "resourceAttributes": {
                "group": names.GROUP,
                **{key: value for key, value in dataclasses.asdict(action).items() if value},
            },
        }
        status = await _ask(
            self._api, paths.SUBJECT_ACCESS_REVIEWS, "authorization.k8s.io/v1", "SubjectAccessReview", spec
        )
        allowed = status.get("allowed") is True and status.get("denied") is not True
        return answers.Answer(value=allowed, favourable=allowed, seconds=_ALLOW_SECONDS if allowed else _DENY_SECONDS)


def _charge(bucket: allowances.Allowances, asker: str, *, kind: Literal["token", "access"]) -> None:
    try:
        bucket.take(asker)
    except allowances.TooManyError:
        callers.count_review_refused(kind=kind)
        raise


async def _ask(api: client.Client, path: str, api_version: str, kind: str, spec: client.Object) -> client.Object:
    """Return the status of a review, and no other exception than UnavailableError."""
    body = {"apiVersion": api_version, "kind": kind, "spec": spec}
    try:
        found = await api.create(path, body, timeout_seconds=_REVIEW_SECONDS)
    except errors.UnavailableError:
        raise
    except errors.ApiError as error:
        # That we may not ask is our own fault, not the caller's: the answer is unknown, as in an outage.
        raise errors.UnavailableError(f"the {kind} was refused: {error}") from error
    return found.get("status") or {}


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


@functools.lru_cache(maxsize=_LIMIT)
def _notify(namespace: str) -> _Action:
    return _Action(verb=_NOTIFY, resource=names.NOTIFICATION_PLURAL, namespace=namespace)


def _identity(user: dict[str, Any]) -> Identity:
    extra = user.get("extra") or {}
    return Identity(
        username=user.get("username") or "",
        uid=user.get("uid") or "",
        groups=tuple(user.get("groups") or ()),
        extra=tuple(sorted((key, tuple(values)) for key, values in extra.items())),
    )
