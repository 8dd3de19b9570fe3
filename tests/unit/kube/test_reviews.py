"""What is remembered of callers, and what an apiserver that errs may not bring about (R13)."""

import collections.abc
import dataclasses
import datetime as dt
import functools
import typing

import pytest
from aiohttp import web

from kit import tokens
from mailtier.kube import allowances, client, errors, reviews

_NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
_KEY = tokens.new_key()
_USER = {"username": "system:serviceaccount:a:b", "uid": "1", "groups": ["g"], "extra": {"k": ["v"]}}

Serve = collections.abc.Callable[..., collections.abc.Awaitable[client.Client]]


@dataclasses.dataclass
class Reviewer:
    """An apiserver that answers each review with a status that the test decides."""

    status: dict[str, typing.Any]
    http_status: int = 201
    now: float = 0.0
    specs: list[dict[str, typing.Any]] = dataclasses.field(default_factory=list)
    publishes: bool = True

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a review, or with the cluster's keys."""
        if request.path == "/openid/v1/jwks":
            status = 200 if self.publishes else 403
            return web.json_response({"keys": [tokens.published(_KEY)]}, status=status)
        self.specs.append((await request.json())["spec"])
        return web.json_response({"status": self.status}, status=self.http_status)


def accepted(**changes: typing.Any) -> dict[str, typing.Any]:
    """Return the status of an accepted token."""
    return {"authenticated": True, "audiences": ["mailtier"], "user": _USER, **changes}


@functools.cache
def fresh(seconds: float = 3600, *, jti: int = 0) -> str:
    """Return a token that may be right for some seconds."""
    return tokens.signed({"aud": "mailtier", "exp": _NOW.timestamp() + seconds, "jti": jti}, _KEY)


async def authenticator(reviewer: Reviewer, serve: Serve) -> reviews.Authenticator:
    """Return an authenticator that asks the reviewer."""
    return reviews.Authenticator(await serve(reviewer.handle), now=lambda: _NOW, monotonic=lambda: reviewer.now)


async def test_accepted_token_is_remembered_for_a_minute(serve: Serve) -> None:
    """An accepted token costs one review a minute."""
    reviewer = Reviewer(accepted())
    checked = await authenticator(reviewer, serve)
    for reviewer.now, asked in ((0, 1), (59, 1), (61, 2)):
        identity = await checked.authenticate(fresh(), client_address="203.0.113.7")
        assert (identity.username, identity.extra) == (_USER["username"], (("k", ("v",)),))
        assert len(reviewer.specs) == asked
    assert reviewer.specs[0]["audiences"] == ["mailtier"]


async def test_a_token_that_was_accepted_is_not_taken_apart_again(serve: Serve) -> None:
    """Its claims are decoded, and its expiry compared with the clock, once for a review, not for each request."""
    reviewer, looked = Reviewer(accepted()), list[dt.datetime]()

    def now() -> dt.datetime:
        looked.append(_NOW)
        return _NOW

    api = await serve(reviewer.handle)
    checked = reviews.Authenticator(api, now=now, monotonic=lambda: reviewer.now)
    for _ in range(3):
        await checked.authenticate(fresh(), client_address="203.0.113.7")
    assert len(looked) == 1


async def test_token_is_not_remembered_beyond_its_expiry(serve: Serve) -> None:
    """A token that expires sooner is remembered until then."""
    reviewer = Reviewer(accepted())
    checked = await authenticator(reviewer, serve)
    for reviewer.now, asked in ((0, 1), (4, 1), (5, 2)):
        await checked.authenticate(fresh(seconds=5), client_address="203.0.113.7")
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
            await checked.authenticate(fresh(), client_address="203.0.113.7")
        assert "hunter2" not in str(caught.value)
        assert len(reviewer.specs) == asked


@pytest.mark.parametrize("http_status", [401, 403, 404, 422, 500, 503])
async def test_refused_review_is_no_answer(serve: Serve, http_status: int) -> None:
    """Whatever keeps the apiserver from answering, the caller is not let in, and the token is not told (R13)."""
    reviewer = Reviewer(accepted(), http_status=http_status)
    checked = await authenticator(reviewer, serve)
    for asked in (1, 2):
        with pytest.raises(errors.UnavailableError) as caught:
            await checked.authenticate(fresh(), client_address="203.0.113.7")
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


async def test_forged_tokens_are_not_asked_about(serve: Serve) -> None:
    """However many tokens nobody of the cluster signed, none is reviewed, and real ones are (R15)."""
    reviewer = Reviewer(accepted())
    checked = await authenticator(reviewer, serve)
    claims = {"aud": "mailtier", "exp": _NOW.timestamp() + 3600}
    other = tokens.new_key()
    for forged in (
        tokens.signed(claims, other),
        tokens.signed(claims, other, named=tokens.key_id(_KEY)),
        tokens.unsigned(claims, {"alg": "none"}),
        tokens.unsigned(claims, {"alg": "ES256", "kid": tokens.key_id(_KEY)}),
    ):
        for _ in range(30):
            with pytest.raises(reviews.UnauthenticatedError):
                await checked.authenticate(forged, client_address="203.0.113.7")
    assert reviewer.specs == []
    await checked.authenticate(fresh(), client_address="203.0.113.7")
    assert len(reviewer.specs) == 1


async def test_tokens_of_what_is_gone_have_a_bucket_for_each_address(serve: Serve) -> None:
    """An address whose signed tokens are not accepted any more has twenty reviews, and others have theirs (R15)."""
    reviewer = Reviewer({})
    checked = await authenticator(reviewer, serve)
    refused = 0
    for number in range(30):
        try:
            await checked.authenticate(fresh(jti=number), client_address="203.0.113.7")
        except allowances.TooManyError:
            refused += 1
        except reviews.UnauthenticatedError:
            pass
    assert (refused, len(reviewer.specs)) == (10, 20)
    reviewer.status = accepted()
    for number in range(30, 60):
        await checked.authenticate(fresh(jti=number), client_address="203.0.113.8")


async def test_a_cluster_without_published_keys_is_asked_within_the_bucket(serve: Serve) -> None:
    """Where the keys may not be read, the review decides, and its number is bounded for each address (R15)."""
    reviewer = Reviewer({}, publishes=False)
    checked = await authenticator(reviewer, serve)
    for number in range(30):
        with pytest.raises((reviews.UnauthenticatedError, allowances.TooManyError)):
            await checked.authenticate(fresh(jti=number), client_address="203.0.113.7")
    assert len(reviewer.specs) == 20


async def test_an_account_that_may_nothing_asks_in_few_namespaces(serve: Serve) -> None:
    """Who tries one namespace after another has twenty questions, and another account has its own (R15)."""
    reviewer = Reviewer({"allowed": False})
    authorizer = reviews.Authorizer(await serve(reviewer.handle), monotonic=lambda: reviewer.now)
    somebody, other = (reviews.Identity(username=name) for name in ("somebody", "other"))
    for number in range(20):
        assert not await authorizer.may_notify(somebody, f"ns-{number}")
    with pytest.raises(allowances.TooManyError):
        await authorizer.may_notify(somebody, "ns-20")
    reviewer.status = {"allowed": True}
    for number in range(30):
        assert await authorizer.may_notify(other, f"ns-{number}")
