"""What is remembered of callers, and what an apiserver that errs may not bring about (R13)."""

import collections.abc
import dataclasses
import datetime as dt
import typing

import pytest
from aiohttp import web

from kit import tokens
from mailtier.kube import client, errors, reviews

_NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
_USER = {"username": "system:serviceaccount:a:b", "uid": "1", "groups": ["g"], "extra": {"k": ["v"]}}

Serve = collections.abc.Callable[..., collections.abc.Awaitable[client.Client]]


@dataclasses.dataclass
class Reviewer:
    """An apiserver that answers each review with a status that the test decides."""

    status: dict[str, typing.Any]
    http_status: int = 201
    now: float = 0.0
    specs: list[dict[str, typing.Any]] = dataclasses.field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a review."""
        self.specs.append((await request.json())["spec"])
        return web.json_response({"status": self.status}, status=self.http_status)


def accepted(**changes: typing.Any) -> dict[str, typing.Any]:
    """Return the status of an accepted token."""
    return {"authenticated": True, "audiences": ["mailtier"], "user": _USER, **changes}


def fresh(seconds: float = 3600) -> str:
    """Return a token that may be right for some seconds."""
    return tokens.unsigned({"aud": "mailtier", "exp": _NOW.timestamp() + seconds})


async def authenticator(reviewer: Reviewer, serve: Serve) -> reviews.Authenticator:
    """Return an authenticator that asks the reviewer."""
    return reviews.Authenticator(await serve(reviewer.handle), now=lambda: _NOW, monotonic=lambda: reviewer.now)


async def test_accepted_token_is_remembered_for_a_minute(serve: Serve) -> None:
    """An accepted token costs one review a minute."""
    reviewer = Reviewer(accepted())
    checked = await authenticator(reviewer, serve)
    for reviewer.now, asked in ((0, 1), (59, 1), (61, 2)):
        identity = await checked.authenticate(fresh())
        assert (identity.username, identity.extra) == (_USER["username"], (("k", ("v",)),))
        assert len(reviewer.specs) == asked
    assert reviewer.specs[0]["audiences"] == ["mailtier"]


async def test_token_is_not_remembered_beyond_its_expiry(serve: Serve) -> None:
    """A token that expires sooner is remembered until then."""
    reviewer = Reviewer(accepted())
    checked = await authenticator(reviewer, serve)
    for reviewer.now, asked in ((0, 1), (4, 1), (5, 2)):
        await checked.authenticate(fresh(seconds=5))
        assert len(reviewer.specs) == asked


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"authenticated": False, "error": "hunter2"},
        accepted(authenticated="yes"),
        accepted(audiences=[]),
        accepted(audiences=None),
        accepted(audiences=["https://kubernetes.default.svc"]),
    ],
)
async def test_anything_but_a_clear_yes_is_a_no(serve: Serve, status: dict[str, typing.Any]) -> None:
    """Without authenticated and our audience the token is refused, for ten seconds without asking again (R13)."""
    reviewer = Reviewer(status)
    checked = await authenticator(reviewer, serve)
    for reviewer.now, asked in ((0, 1), (9, 1), (10, 2)):
        with pytest.raises(reviews.UnauthenticatedError) as caught:
            await checked.authenticate(fresh())
        assert "hunter2" not in str(caught.value)
        assert len(reviewer.specs) == asked


@pytest.mark.parametrize("http_status", [401, 403, 404, 422, 500, 503])
async def test_refused_review_is_no_answer(serve: Serve, http_status: int) -> None:
    """Whatever keeps the apiserver from answering, the caller is not let in, and the token is not told (R13)."""
    reviewer = Reviewer(accepted(), http_status=http_status)
    checked = await authenticator(reviewer, serve)
    for asked in (1, 2):
        with pytest.raises(errors.UnavailableError) as caught:
            await checked.authenticate(fresh())
        assert fresh() not in str(caught.value)
        assert len(reviewer.specs) == asked


async def test_authorization_asks_for_exactly_one_right(serve: Serve) -> None:
    """The question names the caller with all it is known by, and `create notifications` in the namespace."""
    reviewer = Reviewer({"allowed": True})
    authorizer = reviews.Authorizer(await serve(reviewer.handle), monotonic=lambda: reviewer.now)
    identity = reviews.Identity(username="u", uid="1", groups=("g",), extra=(("k", ("v",)),))
    assert await authorizer.may_notify(identity, "a")
    resource = {"verb": "create", "group": "mailtier.dev", "resource": "notifications", "namespace": "a"}
    expected = {"user": "u", "uid": "1", "groups": ["g"], "extra": {"k": ["v"]}, "resourceAttributes": resource}
    assert reviewer.specs == [expected]


@pytest.mark.parametrize(
    ("status", "allowed", "seconds"),
    [
        ({"allowed": True}, True, 60),
        ({"allowed": False}, False, 10),
        ({"allowed": True, "denied": True}, False, 10),
        ({}, False, 10),
    ],
)
async def test_authorization_is_remembered_by_caller_and_namespace(
    serve: Serve, status: dict[str, typing.Any], *, allowed: bool, seconds: int
) -> None:
    """A yes is remembered for a minute and a no for ten seconds, for this caller and namespace alone."""
    reviewer = Reviewer(status)
    authorizer = reviews.Authorizer(await serve(reviewer.handle), monotonic=lambda: reviewer.now)
    somebody, other = (reviews.Identity(username=name) for name in ("somebody", "other"))
    for caller, namespace, reviewer.now, asked in (
        (somebody, "a", 0.0, 1),
        (somebody, "a", seconds - 0.1, 1),
        (other, "a", seconds - 0.1, 2),
        (somebody, "b", seconds - 0.1, 3),
        (somebody, "a", seconds + 0.1, 4),
    ):
        assert await authorizer.may_notify(caller, namespace) is allowed
        assert len(reviewer.specs) == asked


@pytest.mark.parametrize("namespace", ["", "*", "a/b", "A", "a" * 64, "a\n"])
async def test_impossible_namespace_is_not_asked_about(serve: Serve, namespace: str) -> None:
    """No namespace, which would mean all of them, is a no without a question."""
    reviewer = Reviewer({"allowed": True})
    authorizer = reviews.Authorizer(await serve(reviewer.handle))
    assert not await authorizer.may_notify(reviews.Identity(username="u"), namespace)
    assert reviewer.specs == []


async def test_the_host_s_settings_are_another_question(serve: Serve) -> None:
    """Who may notify in a namespace may not therefore probe the host, and the object is named in the question."""
    reviewer = Reviewer({"allowed": True})
    authorizer = reviews.Authorizer(await serve(reviewer.handle))
    caller = reviews.Identity(username="u")
    assert await authorizer.may_notify(caller, "a")
    reviewer.status = {"allowed": False}
    assert not await authorizer.may_change_host(caller)
    assert reviewer.specs[-1]["resourceAttributes"] == {
        "group": "mailtier.dev",
        "verb": "update",
        "resource": "hostemailsettings",
        "name": "default",
    }
