"""`mailtier top` against a real apiserver, operator and sender, whose pod is a node's of the test's own."""

import collections.abc
import json
import pathlib
import signal

import pytest

from kit import certs, installations, kubelet, screens, wait, worlds


@pytest.fixture(scope="module")
def node(installation: installations.Installation, ca: certs.Authority) -> collections.abc.Iterator[kubelet.Kubelet]:
    """Return the node that the pod runs on, with the port of the sender's metrics."""
    with kubelet.Kubelet(installation.world.cluster, ca.issue("node", file_name="node")) as running:
        running.run_pod(installation.world.system, "mailtier-0", owner="mailtier", intake_port=8443)
        running.backends[8081] = installation.sender.health_port
        yield running


def test_what_is_under_way_is_shown_live(
    installation: installations.Installation, node: kubelet.Kubelet, tmp_path: pathlib.Path
) -> None:
    """On a terminal the figures follow what is sent, until Ctrl-C, and the screen is as it was."""
    assert node.backends
    tenant = installation.tenant()
    reached = installation.to_intake(tenant, tmp_path)
    with (
        screens.terminal(100, 30) as shown,
        installation.program.on(shown, "top", "--interval=5s") as child,
    ):
        wait.until(lambda: "0.0/s taken" in shown.text, within_seconds=worlds.WITHIN, why="it is idle")
        rows: set[str] = set()

        def delivered() -> bool:
            arguments = ("--category=JobAlert", "--to=ops@example.com", "--text=It failed.", "--wait")
            assert installation.program.run("send", tenant.namespace, *arguments, *reached).status == 0
            rows.update(line for line in shown.text.splitlines() if line.startswith("Rates"))
            return any("/s delivered" in row and " 0.0/s delivered" not in row for row in rows)

        wait.until(delivered, within_seconds=2 * worlds.WITHIN, why="what is delivered is shown")
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=20) == 130


def test_a_script_gets_one_document(installation: installations.Installation, node: kubelet.Kubelet) -> None:
    """With --once it looks twice and ends with 0, as text or as JSON."""
    assert node.backends
    done = installation.program.run("top", "--once", "-o", "json", "--interval=1s")
    assert (done.status, done.err) == (0, "")
    document = json.loads(done.out)
    assert set(document["ratesPerSecond"]) == {"taken", "delivered", "failed", "attempts"}
    assert document["problems"] == {}
    text = installation.program.run("top", "--interval=1s")
    assert (text.status, text.err) == (0, "")
    assert text.out.startswith("Queue  ")


def test_nobody_to_ask_is_one_line(installation: installations.Installation) -> None:
    """A namespace without Mailtier is told, and what to do."""
    done = installation.program.run("top", "--once", "--operator-namespace=default")
    assert (done.status, done.out) == (1, "")
    assert done.err.count("\n") == 1
    assert "--operator-namespace" in done.err
