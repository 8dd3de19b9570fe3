"""`mailtier verify` against a real apiserver, operator, sender and SMTP server."""

import pathlib
import typing

import pytest

from kit import installations, tenants, wait, worlds

_STAGES = ["dns", "tcp", "tls", "ehlo", "auth", "mail"]


@pytest.fixture
def wrong_password(installation: installations.Installation) -> typing.Iterator[None]:
    """Have the host's Secret hold a wrong password, found by the sender's own probe, and mend it afterwards."""
    _rotate(installation, "wrong", verified="False")
    yield
    _rotate(installation, installations.PASSWORD, verified="True")


def _rotate(installation: installations.Installation, password: str, *, verified: str) -> None:
    """Change the password, and the settings with it, so that the Secret is read at once."""
    world = installation.world
    installation.password(password)
    host = world.get("hes", "default")
    assert host is not None
    world.host(**{**host["spec"], "from": {**host["spec"]["from"], "displayName": f"Since {password}"}})

    def look() -> bool:
        conditions = {
            each["type"]: each["status"] for each in (world.get("hes", "default") or {})["status"]["conditions"]
        }
        return conditions["Verified"] == verified

    wait.until(look, within_seconds=worlds.WITHIN, why=f"Verified of the host is {verified}", poll_seconds=0.1)


def test_a_good_server_goes_through_every_stage(
    installation: installations.Installation, tmp_path: pathlib.Path
) -> None:
    """Each stage is a line, the result is the last, and the status is 0; who inherits reads no certificate (R7)."""
    tenant = installation.tenant()
    done = installation.program.run("verify", tenant.namespace, *installation.to_intake(tenant, tmp_path))
    assert done.status == 0, done
    title, *stages = done.out.splitlines()
    stages, (result, when) = stages[: len(_STAGES)], stages[len(_STAGES) :]
    assert title == f"{tenant.namespace}/default"
    assert [line.split()[:2] for line in stages] == [[stage, "ok"] for stage in _STAGES]
    assert result.startswith("Verified: ")
    assert when.startswith("  Probed at ")
    assert "read at" in when
    assert installation.relay.messages() == []


def test_the_platform_team_reads_the_certificate_s_end(
    installation: installations.Installation, tmp_path: pathlib.Path
) -> None:
    """With the right to change the host's settings, their own endpoint is probed, and its owner reads more."""
    done = installation.program.run("verify", "--host", "-o", "json", *installation.to_intake(None, tmp_path))
    assert done.status == 0, done
    assert [stage["stage"] for stage in done.document["stages"]] == _STAGES
    assert done.document["result"]["reason"] == "Verified"
    assert done.document["result"]["certificateExpiresAt"].endswith("Z")


def test_three_probes_at_once_and_the_next_has_to_wait(
    installation: installations.Installation, tmp_path: pathlib.Path
) -> None:
    """A namespace has three probes at once (R7): when the next may be is told, and at once if it does not fit."""
    tenant = installation.tenant()
    way = installation.to_intake(tenant, tmp_path)
    for _ in range(3):
        # Those of the host's endpoint are five seconds apart, which is waited for.
        assert installation.program.run("verify", tenant.namespace, *way).status == 0
    again = installation.program.run("verify", tenant.namespace, "--timeout=2s", *way)
    assert again.status == 124
    assert "a namespace has three probes at once, then one a minute; the next in " in again.err
    assert "longer --timeout" in again.err
    assert again.err.count("\n") == 1


def test_what_was_written_a_moment_ago_is_what_is_tried(
    installation: installations.Installation, tmp_path: pathlib.Path
) -> None:
    """The Secret is read anew, and which version it was is told, whatever the sender and the status remember.

    Of a refused one the sender's own probe may have been told before: of the same version, which is not sent twice.
    """
    way = installation.to_intake(None, tmp_path)
    cluster, system = installation.world.cluster, installation.world.system
    for password, reason in (("wrong", "AuthFailed"), (installations.PASSWORD, "Verified")):
        installation.password(password)
        version = cluster.kubectl(
            "get", "secret", "relay", "-n", system, "-o", "jsonpath={.metadata.resourceVersion}"
        ).stdout
        done = installation.program.run("verify", "--host", "-o", "json", *way)
        result = done.document["result"]
        assert (result["reason"], result["secretVersion"]) == (reason, version)
        assert result["secretReadAt"] <= result["probedAt"]
        assert reason == "AuthFailed" or "earlier" not in result["message"]
    text = installation.program.run("verify", "--host", *way)
    assert f"version {version}" in text.out


def test_a_namespace_that_is_not_there_is_told(
    installation: installations.Installation, tmp_path: pathlib.Path
) -> None:
    """Whoever misspells the namespace reads just that, whichever way the token comes."""
    way = installation.to_intake(installation.tenant(), tmp_path)
    for command in (("verify", "nope"), ("send", "nope", "--to=ops@example.com")):
        for options in (way[:2], (way[0], way[1], "--as-service-account=default/default")):
            done = installation.program.run(*command, *options)
            assert (done.status, done.out) == (1, "")
            assert done.err == installation.program.run("status", "-n", "nope").err


@pytest.mark.usefixtures("wrong_password")
def test_a_wrong_password_fails_at_auth_and_is_not_sent_again(
    installation: installations.Installation, tmp_path: pathlib.Path
) -> None:
    """What the server refused once is told and not tried again (R12); its words are the owner's alone (R7)."""
    attempts = _attempts(installation)
    tenant = installation.tenant()
    owner = installation.program.run("verify", "--host", "-o", "json", *installation.to_intake(None, tmp_path))
    inherits = installation.program.run(
        "verify", f"{tenant.namespace}/default", "-o", "json", *installation.to_intake(tenant, tmp_path)
    )
    for done in (owner, inherits):
        assert done.status == 1, done
        assert [(stage["stage"], stage["ok"]) for stage in done.document["stages"]] == [
            *((stage, True) for stage in _STAGES[:4]),
            ("auth", False),
        ]
        assert done.document["result"]["reason"] == "AuthFailed"
        assert "535" in done.document["result"]["message"]
    assert "Secret" in owner.document["result"]["remedy"]
    assert "platform team" in inherits.document["result"]["remedy"]
    assert "certificateExpiresAt" not in inherits.document["result"]
    for done in (owner, inherits):
        assert "a password that was refused is not sent again" in done.document["result"]["message"]
        assert "a password that was refused is not sent again" in done.document["stages"][-1]["message"]
    assert "secretVersion" in owner.document["result"]
    assert "secretVersion" not in inherits.document["result"]
    assert _attempts(installation) == attempts


@pytest.mark.usefixtures("wrong_password")
def test_a_refused_password_is_sent_again_where_somebody_asks(
    installation: installations.Installation, tmp_path: pathlib.Path
) -> None:
    """--again is one more AUTH for the login's owner; who inherits the host's is told whom to ask (R12)."""
    attempts = _attempts(installation)
    tenant = installation.tenant()
    inherits = installation.program.run(
        "verify", tenant.namespace, "--again", *installation.to_intake(tenant, tmp_path)
    )
    assert (inherits.status, _attempts(installation)) == (1, attempts)
    assert "mailtier verify --host --again" in inherits.err
    owner = installation.program.run(
        "verify", "--host", "--again", "-o", "json", *installation.to_intake(None, tmp_path)
    )
    assert owner.document["result"]["reason"] == "AuthFailed"
    assert "not sent again" not in owner.document["result"]["message"]
    assert _attempts(installation) == attempts + 1


def test_who_may_not_notify_may_not_probe(installation: installations.Installation, tmp_path: pathlib.Path) -> None:
    """The intake's refusal is one line that names the right, for an organization and for the host."""
    tenant = installation.tenant()
    token = tmp_path / "token"
    token.write_text(
        tenants.account(installation.world.cluster, tenant.namespace, "stranger", allowed=False), encoding="ascii"
    )
    way = (f"--url={installation.sender.url}", f"--ca={installation.sender.ca_path}", f"--token-file={token}")
    for arguments, right in (((tenant.namespace,), "create notifications"), (("--host",), "update hostemailsettings")):
        done = installation.program.run("verify", *arguments, *way)
        assert done.status == 1
        assert f"may not {right}.mailtier.dev" in done.err
        assert done.err.count("\n") == 1


def test_blocked_settings_are_not_probed(installation: installations.Installation, tmp_path: pathlib.Path) -> None:
    """Nothing is connected to, and the reason stands in the one line."""
    tenant = installation.tenant(smtp={"host": "smtp.example.com"})
    done = installation.program.run("verify", tenant.namespace, *installation.to_intake(tenant, tmp_path))
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert "CredentialsRequired" in done.err


def test_an_unknown_authority_is_told_with_the_remedy(
    installation: installations.Installation, tmp_path: pathlib.Path
) -> None:
    """Without --ca the system's authorities count, and the line says what to give."""
    tenant = installation.tenant()
    url, _, token = installation.to_intake(tenant, tmp_path)
    done = installation.program.run("verify", tenant.namespace, url, token)
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert "--ca" in done.err


def _attempts(installation: installations.Installation) -> int:
    """Return how many AUTH commands the relay has seen."""
    said = installation.relay.transcript()
    return sum(1 for line in said if line["direction"] == "C" and str(line["line"]).upper().startswith("AUTH"))
