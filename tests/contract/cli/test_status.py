"""`mailtier status` against a real apiserver and operator."""

import pathlib
import re
import signal

import pytest

from kit import commands, installations, screens, tenants, wait, worlds
from mailtier.cli import board


@pytest.fixture(scope="module")
def broken(installation: installations.Installation) -> list[tenants.Tenant]:
    """Return three tenants: stalled, reconciling, ready."""
    found = [
        installation.tenant(smtp={"host": "smtp.example.com"}),
        installation.tenant(auth={"username": "robot", "passwordSecretRef": {"name": "missing"}}),
        installation.tenant(),
    ]
    for tenant, reason in zip(found, ("CredentialsRequired", "SecretNotFound", "Published"), strict=True):
        installation.world.until(
            lambda tenant=tenant, reason=reason: installation.world.reason(tenant.namespace) == reason,
            f"{tenant.namespace} is {reason}",
        )
    return found


def test_the_broken_come_first_with_what_to_do(
    installation: installations.Installation, broken: list[tenants.Tenant]
) -> None:
    """Totals, then what is stalled, then what is on its way; each with its message, and status 1."""
    done = installation.program.run("status")
    assert (done.status, done.err) == (1, "")
    lines = done.out.splitlines()
    assert lines[0].startswith("Organizations   ")
    # Other tests leave organizations in the cluster, which are counted too.
    totals = re.search(r" (\d+) stalled, (\d+) reconciling;", lines[0])
    assert totals is not None
    assert all(int(count) >= 1 for count in totals.groups())
    assert lines[1].split()[0] == "Host"
    assert " Verified " in lines[1]
    assert "no pod" in lines[2]
    stalled, reconciling, ready = broken
    places = [
        next(number for number, line in enumerate(lines) if tenant.namespace in line)
        for tenant in (stalled, reconciling)
    ]
    assert places == sorted(places)
    assert lines[places[0]].split()[:3] == ["Stalled", f"{stalled.namespace}/default", "CredentialsRequired"]
    assert "auth" in lines[places[0] + 1]
    assert lines[places[1]].split()[0] == "Reconciling"
    assert ready.namespace not in done.out
    assert "\x1b" not in done.out


def test_programs_read_json_and_yaml(installation: installations.Installation, broken: list[tenants.Tenant]) -> None:
    """Every organization is in the document, the broken ones in their order."""
    done = installation.program.run("status", "-o", "json")
    assert done.status == 1
    document = done.document
    assert document["broken"] is True
    assert document["totals"]["organizations"] == len(document["organizations"]) >= 3
    states = [entry["state"] for entry in document["remarkable"]]
    assert states == sorted(states, key=["Stalled", "Reconciling", "NotVerified", "WouldBlock", "Advice"].index)
    found = {entry.get("namespace"): entry for entry in document["remarkable"]}
    first, second = (found[tenant.namespace] for tenant in broken[:2])
    assert (first["state"], second["state"]) == ("Stalled", "Reconciling")
    assert first["remedy"]
    assert document["host"]["verified"] == "Verified"
    yaml = installation.program.run("status", "-o", "yaml")
    assert yaml.status == 1
    assert f"namespace: {broken[0].namespace}\n" in yaml.out


@pytest.fixture(scope="module")
def viewer(installation: installations.Installation, broken: list[tenants.Tenant]) -> commands.Program:
    """Return the program with the rights of somebody who may view the third tenant's namespace alone."""
    cluster, namespace = installation.world.cluster, broken[2].namespace
    cluster.kubectl("create", "serviceaccount", "viewer", "-n", namespace)
    rule = ("--verb=get,list,watch", "--resource=orgemailsettings.mailtier.dev")
    cluster.kubectl("create", "role", "viewer", "-n", namespace, *rule)
    cluster.kubectl(
        "create", "rolebinding", "viewer", "-n", namespace, "--role=viewer", f"--serviceaccount={namespace}:viewer"
    )
    return commands.Program(kubeconfig=cluster.kubeconfig_for(namespace, "viewer"))


def test_a_namespace_that_is_well_is_status_0(
    viewer: commands.Program, broken: list[tenants.Tenant], installation: installations.Installation
) -> None:
    """One namespace alone is looked at with -n, and wide shows its server and sender."""
    done = viewer.run("status", "-n", broken[2].namespace, "-o", "wide")
    assert (done.status, done.err) == (0, "")
    line = next(line for line in done.out.splitlines() if line.startswith(broken[2].namespace))
    for expected in (f"localhost:{installation.relay.port}", "StartTLS", "no-reply@platform.example", "Host"):
        assert expected in line


def test_the_fault_of_others_is_no_fault_of_a_namespace(
    installation: installations.Installation, broken: list[tenants.Tenant]
) -> None:
    """Who may see all reads it, and the exit status speaks of the namespace that was asked for."""
    done = installation.program.run("status", "-n", broken[2].namespace)
    assert (done.status, done.err) == (0, "")
    lines = [line for line in done.out.splitlines() if line.startswith("Mailtier")]
    assert len(lines) == 1
    assert "no pod found; operator '" in lines[0]
    assert installation.program.run("status", "-n", broken[0].namespace).status == 1


def test_a_namespace_that_is_not_there_is_told(installation: installations.Installation) -> None:
    """A misspelt namespace is an error in one line; one without settings of its own is none."""
    done = installation.program.run("status", "-n", "nope")
    assert (done.status, done.out) == (1, "")
    assert done.err == "mailtier: cannot look at the namespace nope: there is no such namespace\n"
    empty = installation.program.run("status", "-n", installation.world.system)
    assert (empty.err, empty.out.split(":")[0].split()) == ("", ["Organizations", "0"])


def test_what_an_audit_would_block_is_listed(
    installation: installations.Installation, broken: list[tenants.Tenant]
) -> None:
    """Each organization that a policy in mode Audit would block is a row with its message, after the broken ones."""
    world, tenant = installation.world, installation.tenant(**{"from": {"address": "ceo@elsewhere.example"}})
    host = world.get("hes", "default")
    assert host is not None
    spec = host["spec"]
    world.until(lambda: world.reason(tenant.namespace) == "FromNotAllowed", "it is blocked")
    world.host(**{**spec, "policy": {**spec["policy"], "mode": "Audit"}})
    try:
        world.until(lambda: world.reason(tenant.namespace) == "Published", "it would be blocked")
        lines = installation.program.run("status").out.splitlines()
        place = next(number for number, line in enumerate(lines) if tenant.namespace in line)
        assert lines[place].split()[:3] == ["WouldBlock", f"{tenant.namespace}/default", "WouldBlock"]
        assert "ceo@elsewhere.example" in lines[place + 1]
        assert place > next(number for number, line in enumerate(lines) if broken[1].namespace in line)
        assert " 1 would be blocked" in lines[0]
    finally:
        world.host(**spec)


def test_a_tenant_sees_what_it_may(viewer: commands.Program, broken: list[tenants.Tenant]) -> None:
    """Without rights in the cluster one line names the missing right, and the own namespace can be looked at."""
    namespace = broken[2].namespace
    everywhere = viewer.run("status")
    assert (everywhere.status, everywhere.out) == (1, "")
    assert everywhere.err == (
        "mailtier: you may not list orgemailsettings.mailtier.dev in all namespaces: have that right granted, or look"
        " at one namespace with --namespace\n"
    )
    here = viewer.run("status", f"--namespace={namespace}")
    assert here.status == 0, here
    assert here.out.count(board.HIDDEN) == 1
    assert "Mailtier  " not in here.out


def test_watching_in_a_pipe_prints_changes_only(
    installation: installations.Installation, broken: list[tenants.Tenant], tmp_path: pathlib.Path
) -> None:
    """What is so already is not told; each change is, as it happens; an interruption ends it."""
    namespace = broken[2].namespace
    out = tmp_path / "out"
    with installation.program.started("status", "--watch", f"--namespace={namespace}", out=out) as child:

        def said(text: str) -> bool:
            return text in out.read_text(encoding="utf-8")

        def changed() -> bool:
            # Until it has begun to watch, a change may be what is so already.
            suspended = (installation.world.get("oes", "default", namespace) or {})["spec"].get("suspend", False)
            installation.world.org(namespace, suspend=not suspended)
            return said(f"{namespace}/default: Ready ")

        wait.until(changed, within_seconds=worlds.WITHIN, why="a first change is printed", poll_seconds=1.0)
        installation.world.org(namespace, smtp={"host": "smtp.example.com"})
        wait.until(
            lambda: said(f"{namespace}/default: Stalled CredentialsRequired"),
            within_seconds=worlds.WITHIN,
            why="the change is printed",
        )
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=20) == 130
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ "
    changes = [line for line in out.read_text(encoding="utf-8").splitlines() if "/default: " in line]
    assert all(re.match(stamp, line) for line in changes), changes
    installation.world.org(namespace)
    installation.world.until(lambda: installation.world.reason(namespace) == "Published", "it is as it was")


def test_watching_on_a_terminal_shows_every_word_and_whole_commands(
    installation: installations.Installation, broken: list[tenants.Tenant]
) -> None:
    """On 80 columns nothing is lost that `status` prints there, and a command is copied as one line."""
    chosen = f"--namespace={broken[1].namespace}"
    with screens.terminal(80, 60) as plain:
        with installation.program.on(plain, "status", chosen) as child:
            assert child.wait(timeout=60) == 1
        wait.until(lambda: "kubectl" in plain.text, within_seconds=20, why="all is printed")
        printed = plain.text
    command = next(line.strip() for line in printed.splitlines() if line.strip().startswith("kubectl "))
    assert len(command) > 80
    with (
        screens.terminal(80, 60) as watched,
        installation.program.on(watched, "status", "--watch", chosen) as child,
    ):
        wait.until(lambda: "kubectl" in watched.text, within_seconds=60, why="the screen is drawn")

        def lost() -> set[str]:
            # Ages go on meanwhile.
            return {word for word in printed.split() if not re.fullmatch(r"\d+[smhd]", word)} - set(
                watched.text.split()
            )

        wait.until(lambda: not lost(), within_seconds=20, why="every word is on the screen")
        assert command in [line.strip() for line in watched.text.splitlines()]
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=20) == 130
