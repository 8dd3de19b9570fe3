"""What the apiserver refuses becomes an exception that may be logged."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtier.kube import errors


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidError),
        (401, errors.UnauthorizedError),
        (403, errors.ForbiddenError),
        (404, errors.NotFoundError),
        (409, errors.ConflictError),
        (410, errors.GoneError),
        (418, errors.ApiError),
        (422, errors.InvalidError),
        (429, errors.UnavailableError),
        (500, errors.UnavailableError),
        (504, errors.UnavailableError),
    ],
)
def test_status_has_its_exception(status: int, kind: type[errors.ApiError]) -> None:
    """Each HTTP status that callers tell apart has its exception, with the apiserver's words."""
    body = json.dumps({"kind": "Status", "reason": "Because", "message": "it is so"}).encode()
    error = errors.from_answer(status, body, request="get /x", resource="configmaps")
    assert type(error) is kind
    assert (error.status, error.reason) == (status, "Because")
    assert str(error) == f"get /x was answered with {status} Because: it is so"


@pytest.mark.parametrize("resource", ["secrets", "tokenreviews", "notifications"])
def test_private_kinds_are_not_quoted(resource: str) -> None:
    """The apiserver's sentence is left out where it may quote a secret (R1)."""
    body = json.dumps({"reason": "Invalid", "message": 'data[password]: Invalid value: "hunter2"'}).encode()
    error = errors.from_answer(422, body, request="create /x", resource=resource)
    assert str(error) == "create /x was answered with 422 Invalid"


@given(st.binary(), st.integers(400, 599))
def test_any_body_is_borne(body: bytes, status: int) -> None:
    """A body that is no Status, as a proxy sends it, still makes an exception, without the body."""
    error = errors.from_answer(status, b"<html>" + body, request="get /x", resource="configmaps")
    assert str(error) == f"get /x was answered with {status}"
