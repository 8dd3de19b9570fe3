"""A Secret's values stay hidden until somebody reveals one on purpose."""

import base64
import pickle
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtier.kube import secrets


def encoded(value: bytes) -> str:
    """Return a value as a Secret holds it."""
    return base64.b64encode(value).decode()


def test_values_are_what_the_secret_has() -> None:
    """What is no UTF-8 is there byte for byte, so that it can be told; what is no base64 counts as absent."""
    data = secrets.Data({"text": encoded("grüße".encode()), "binary": encoded(b"\xff"), "broken": "%", "none": None})
    assert data["text"].reveal == "grüße"
    assert list(data) == ["text", "binary"]
    assert len(data) == 2
    assert (data["text"].raw, data["binary"].raw) == ("grüße".encode(), b"\xff")
    with pytest.raises(KeyError):
        data["broken"]
    with pytest.raises(KeyError):
        data["missing"]


@given(st.text())
def test_value_is_not_shown(rest: str) -> None:
    """Neither the read nor a value shows the text in a repr, a traceback or a pickle (R1)."""
    data = secrets.Data({"password": encoded(f"hunter2{rest}".encode())})
    read = secrets.SecretContents(uid="1", resource_version="2", kind="Opaque", annotations={}, data=data)
    error = RuntimeError(f"{read!r} {data} {data['password']} {data['password']!r}")
    told = "".join(traceback.format_exception(error))
    assert "Data(['password'])" in told
    assert "hunter2" not in told
    with pytest.raises(TypeError):
        pickle.dumps(data["password"])
