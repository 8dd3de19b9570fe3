"""Rotation: what the how-to says works, and asking for a new look is no way to have the operator read for one alone."""

import os
import re
import subprocess
import time

import pytest

from kit import arena as arena_kit
from kit import attacks, binaries, wait
from kit import repository as repository_kit
from mailtier.api import names

_PAGE = "docs/how-to/rotate.md"
_WITHIN_SECONDS = 200

ATTACKS = (
    attacks.Story(
        name="requests-without-end",
        test="test_requests_to_look_are_answered_in_their_turn",
        rules=("R9", "R15"),
        story="An organization changes the annotation that asks for a new look as fast as it can, for others to wait.",
        stopped_by="an object is looked at anew once in 5 seconds",
    ),
)


@pytest.fixture
def attacker(arena: arena_kit.Arena) -> arena_kit.Attacker:
    """Return a tenant whose Secret does not hold the password of its own server."""
    return arena.attacker()


def _commands(namespace: str, password: str) -> str:
    """Return the commands of the page for an organization of this test."""
    page = (repository_kit.ROOT / _PAGE).read_text(encoding="utf-8")
    found = re.search(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1].replace("team-a", namespace).replace("PASSWORD", password)


def test_the_documented_commands_wait_for_the_new_password(attacker: arena_kit.Attacker) -> None:
    """After a wrong password was replaced, `kubectl wait` ends when the new one was tried, and not before (R9)."""
    arena = attacker.arena
    right, wrong = arena.secret("rotation: right", username="robot"), arena.secret("rotation: wrong", username="robot")
    with arena.serve(arena.starttls(users={"robot": right})) as server:
        attacker.bring(wrong, endpoint=f"{server.host}:{server.port}")
        attacker.settings(attacker.own(server))
        attacker.until_reason("AuthFailed", type_="Verified")
        kubectl = binaries.path("kubectl")
        done = subprocess.run(
            ["bash", "-euc", _commands(attacker.namespace, right)],
            env={
                **os.environ,
                "KUBECONFIG": str(arena.cluster.kubeconfig),
                "PATH": f"{kubectl.parent}:{os.environ['PATH']}",
            },
            capture_output=True,
            text=True,
            timeout=_WITHIN_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert attacker.condition("Verified")["status"] == "True"
        assert attacker.status()["lastHandledRequestedAt"]


def test_requests_to_look_are_answered_in_their_turn(attacker: arena_kit.Attacker) -> None:
    """However often one asks, an object is looked at anew once in 5 s, and the last request is answered (R9, R15)."""
    attacker.settings({})
    attacker.until_reason("Published")
    answered: list[str] = []

    def look() -> bool:
        handled = attacker.status().get("lastHandledRequestedAt", "")
        if handled not in answered:
            answered.append(handled)
        return handled == "request-39"

    begun = time.monotonic()
    for number in range(40):
        annotations = {names.REQUESTED_AT_ANNOTATION: f"request-{number}"}
        document = arena_kit.worlds.document(names.ORG_KIND, "default", attacker.namespace)
        document["metadata"]["annotations"] = annotations
        attacker.arena.put(document)
        look()
    wait.until(look, within_seconds=arena_kit.WITHIN, why="the last request is answered", poll_seconds=0.1)
    # One for what was there before, one at once, and one for each 5 seconds.
    assert len(answered) <= 3 + (time.monotonic() - begun) / 5
