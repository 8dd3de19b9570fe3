"""`mailtier send` against a real apiserver, operator, sender and SMTP server."""

import pathlib

from kit import installations


def test_a_notification_is_followed_to_its_acceptance(
    installation: installations.Installation, tmp_path: pathlib.Path
) -> None:
    """Each change of state is a line, the status is 0, and the mail is there."""
    tenant = installation.tenant()
    done = installation.program.run(
        *("send", f"{tenant.namespace}/default", "--to=ops@example.com", "--subject=Ping", "--data=job=nightly"),
        *installation.to_intake(tenant, tmp_path),
    )
    assert (done.status, done.err) == (0, "")
    title, *changes = done.out.splitlines()
    assert title.startswith(f"{tenant.namespace}/default   ")
    assert changes[-1].split()[:2] == ["ops@example.com", "accepted"]
    identifier = title.split()[-1]
    taken = [message for message in installation.relay.messages() if identifier in message["message_id"]]
    assert [message["rcpt_to"] for message in taken] == [["ops@example.com"]]


def test_what_may_have_been_taken_is_sent_again_without_doubling_it(
    installation: installations.Installation, tmp_path: pathlib.Path
) -> None:
    """Under its idempotency key, which a command that got no answer in time names."""
    tenant = installation.tenant()
    send = ("send", tenant.namespace, "--to=ops@example.com", "--no-wait", "-o", "json", "--idempotency-key=again")
    way = installation.to_intake(tenant, tmp_path)
    first, second = (installation.program.run(*send, *way).document["id"] for _ in range(2))
    assert first == second


def test_a_refused_recipient_is_a_failure(installation: installations.Installation, tmp_path: pathlib.Path) -> None:
    """A final state that is not acceptance is printed with its reason and what was met, and the status is 1."""
    tenant = installation.tenant()
    done = installation.program.run(
        *("send", tenant.namespace, "--to=nobody@example.com", "--to=ops@example.com", "-o", "json"),
        *installation.to_intake(tenant, tmp_path),
    )
    assert done.status == 1, done
    states = {each["address"]: each["state"] for each in done.document["recipients"]}
    assert states == {"nobody@example.com": "failed", "ops@example.com": "accepted"}
    met = {each["address"]: each.get("lastFailure") for each in done.document["recipients"]}
    failure = {"scope": "Recipient", "phase": "rcpt", "code": 550, "enhanced": "5.1.1"}
    assert met == {"nobody@example.com": failure, "ops@example.com": None}


def test_what_has_no_end_in_time_is_a_time_out(
    installation: installations.Installation, tmp_path: pathlib.Path
) -> None:
    """A message that is deferred goes on without the command, which says so with status 124."""
    tenant = installation.tenant()
    done = installation.program.run(
        *("send", tenant.namespace, "--to=later@example.com", "--timeout=4s"),
        *installation.to_intake(tenant, tmp_path),
    )
    assert done.status == 124, done
    assert "deferred" in done.out
    assert "its state is deferred" in done.err
    assert done.err.count("\n") == 1


def test_a_blocked_organization_is_told_at_once(
    installation: installations.Installation, tmp_path: pathlib.Path
) -> None:
    """Blocked settings hold the message: the command says so and why before the hold is stored, and at the end."""
    tenant = installation.tenant(smtp={"host": "smtp.example.com"})
    way = installation.to_intake(tenant, tmp_path)
    blocked = "SettingsBlocked: The organization's settings are blocked: CredentialsRequired. "
    done = installation.program.run("send", tenant.namespace, "--to=ops@example.com", "--timeout=4s", *way)
    assert done.status == 124, done
    assert f"  ops@example.com   queued   {blocked}" in done.out
    assert "its state is queued, and the sender goes on with it\n" in done.err
    assert (done.out + done.err).count("The organization's settings are blocked: ") == 1
    waits = installation.program.run("send", tenant.namespace, "--to=ops@example.com", "--no-wait", *way)
    assert waits.status == 0, waits
    assert f"  waits   {blocked}" in waits.out
    document = installation.program.run(
        "send", tenant.namespace, "--to=ops@example.com", "--no-wait", "-o", "json", *way
    ).document
    assert document["held"]["reason"] == "SettingsBlocked"


def test_a_suspended_organization_is_told_at_once(
    installation: installations.Installation, tmp_path: pathlib.Path
) -> None:
    """Nothing is wrong where somebody suspended delivery, and what waits says so."""
    tenant = installation.tenant(suspend=True)
    way = installation.to_intake(tenant, tmp_path)
    waits = installation.program.run("send", tenant.namespace, "--to=ops@example.com", "--no-wait", *way)
    assert "  waits   Suspended: " in waits.out


def test_nobody_waits_who_does_not_want_to(installation: installations.Installation, tmp_path: pathlib.Path) -> None:
    """With --no-wait the durable acceptance is all, and its id can be looked up."""
    tenant = installation.tenant()
    done = installation.program.run(
        *("send", tenant.namespace, "--to=ops@example.com", "--no-wait", "-o", "json"),
        *installation.to_intake(tenant, tmp_path),
    )
    assert done.status == 0, done
    assert done.document["status"].endswith(done.document["id"])


def test_a_full_queue_is_told(installation: installations.Installation, tmp_path: pathlib.Path) -> None:
    """Without leave to wait, or time for it, the command ends at once with the reason and when there may be room."""
    world = installation.world
    host = world.get("hes", "default")
    assert host is not None
    spec = host["spec"]
    world.host(**{**spec, "policy": {**spec["policy"], "quota": {"queuedMessages": 1}}})
    try:
        tenant = installation.tenant(suspend=True)
        send = ("send", tenant.namespace, "--to=ops@example.com", *installation.to_intake(tenant, tmp_path))
        assert installation.program.run(*send, "--no-wait").status == 0
        for option, status in (("--no-wait", 1), ("--timeout=5s", 124)):
            full = installation.program.run(*send, option)
            assert (full.status, full.out, full.err.count("\n")) == (status, "", 1), full
            assert "may have 1 message" in full.err
            assert "it may be sent again in " in full.err
    finally:
        world.host(**spec)


def test_a_token_is_asked_for(installation: installations.Installation) -> None:
    """Who may ask for a ServiceAccount's token needs no file; who is not allowed reads of which right."""
    tenant = installation.tenant()
    way = (f"--url={installation.sender.url}", f"--ca={installation.sender.ca_path}")
    account = f"--as-service-account={tenant.namespace}/application"
    done = installation.program.run("send", tenant.namespace, "--to=ops@example.com", account, *way)
    assert done.status == 0, done
    missing = installation.program.run(
        "send", tenant.namespace, f"--as-service-account={tenant.namespace}/nobody", *way
    )
    assert (missing.status, missing.err.count("\n")) == (1, 1)
    assert "no such ServiceAccount" in missing.err


def test_a_wrong_field_is_told_in_one_line(installation: installations.Installation, tmp_path: pathlib.Path) -> None:
    """What the intake finds wrong names the field."""
    tenant = installation.tenant()
    done = installation.program.run(
        "send", tenant.namespace, "--to=not an address", *installation.to_intake(tenant, tmp_path)
    )
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert "recipients/0 (not an address): " in done.err
