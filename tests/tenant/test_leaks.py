"""What all attacks wrote is searched for every secret that they used; this module runs last."""

import base64
import json
import urllib.parse

import pytest

from kit import arena as arena_kit
from kit import leaks
from kit import traces as traces_kit
from mailtier.api import names

_REPORTER = f'"{names.GROUP}/operator"'.encode()
_SECRET = leaks.Secret(name="the secret", value="tGv&7-pQ+9_xZ=4/wL?2 äM", username="robot")


@pytest.mark.parametrize("form", list(_SECRET.forms()))
def test_the_search_finds_every_form(form: str) -> None:
    """Whatever form a secret has in a trace, the search finds it there and not elsewhere (R1)."""
    planted = f'{{"event": "said {_SECRET.forms()[form]} and more"}}'.encode()
    found = leaks.search({"with": planted, "without": b"nothing of that kind"}, [_SECRET])
    assert {(leak.where, leak.what) for leak in found} == {("with", "the secret")}
    assert form in {leak.form for leak in found}


@pytest.mark.parametrize("before", ["", "a", "ab", "\0robot\0"])
def test_the_search_finds_what_is_encoded_with_others(before: str) -> None:
    """A secret within a longer text that was encoded as a whole is found (R1)."""
    encoded = base64.b64encode(f"{before}{_SECRET.value} and more".encode())
    assert leaks.search({"trace": encoded}, [_SECRET])
    quoted = urllib.parse.quote(f"{before}{_SECRET.value}", safe="").encode()
    assert leaks.search({"trace": quoted}, [_SECRET])


def test_no_attack_left_a_secret_anywhere(arena: arena_kit.Arena) -> None:
    """Logs, metrics, objects, Events, the queue's files and what commands print hold no secret of the run (R1, R11)."""
    traces = traces_kit.collect(arena)
    needed = {
        "sender.log",
        "operator.log",
        "queue.sqlite3",
        "sender's metrics",
        "operator's metrics",
        "mailtier status",
    }
    assert not [name for name in needed if not any(name in where for where in traces)], sorted(traces)
    assert any(where.startswith("OrgEmailSettings ") for where in traces)
    assert any(where.startswith("Event ") and _REPORTER in content for where, content in traces.items())
    found = leaks.search(traces, arena.secrets)
    assert found == [], json.dumps([f"{leak.what} ({leak.form}) in {leak.where}" for leak in found], indent=1)
