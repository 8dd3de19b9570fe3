"""`mailtier queue` against a real apiserver, operator, sender and SMTP server."""

import pathlib
import secrets
import uuid

import pytest

from kit import commands, installations, tenants, wait


class _Queue:
    """The command, for a person who may do everything with a tenant's notifications."""

    def __init__(self, installation: installations.Installation, folder: pathlib.Path) -> None:
        self.tenant = installation.tenant()
        self._installation = installation
        self._folder = folder
        token = tenants.account(
            installation.world.cluster,
            self.tenant.namespace,
            f"person-{secrets.token_hex(4)}",
            allowed=True,
            verbs=("list", "get", "update"),
        )
        file = folder / "person"
        file.write_text(token, encoding="ascii")
        sender = installation.sender
        self._way = (f"--url={sender.url}", f"--ca={sender.ca_path}", f"--token-file={file}")

    def __call__(self, *arguments: str, answer: str = "") -> commands.Finished:
        """Return what the command printed."""
        return self._installation.program.run("queue", *arguments, *self._way, answer=answer)

    def send(self, address: str) -> str:
        """Hand a notification over, and return its id."""
        way = self._installation.to_intake(self.tenant, self._folder)
        done = self._installation.program.run(
            "send", self.tenant.namespace, f"--to={address}", "--no-wait", "-o", "json", *way
        )
        return str(done.document["id"])

    def until(self, id_: str, state: str) -> None:
        """Return when the recipient of a notification has a state."""
        wait.until(
            lambda: self("show", self.tenant.namespace, id_, "-o", "json").document["recipients"][0]["state"] == state,
            within_seconds=30,
            why=f"{id_} is {state}",
        )


@pytest.fixture
def queue(installation: installations.Installation, tmp_path: pathlib.Path) -> _Queue:
    """Return the command."""
    return _Queue(installation, tmp_path)


def test_failed_mail_is_looked_at_and_sent_again(queue: _Queue) -> None:
    """A list, what the server said, another attempt, and the end of what waits."""
    namespace = queue.tenant.namespace
    failed, waits = queue.send("nobody@example.com"), queue.send("later@example.com")
    queue.until(failed, "failed")
    queue.until(waits, "deferred")
    listed = queue("list", namespace)
    assert listed.status == 0, listed
    assert all(each in listed.out for each in (failed, waits, "RecipientRefused"))
    assert [item["id"] for item in queue("list", namespace, "-o", "json").document["items"]] == [waits, failed]
    only = queue("list", namespace, "--state=failed", "--reason=RecipientRefused", "-o", "json").document["items"]
    assert [item["id"] for item in only] == [failed]
    shown = queue("show", namespace, failed)
    assert "550 5.1.1" in shown.out
    assert "can be sent again until" in shown.out
    again = queue("retry", namespace, "--all")
    assert (again.status, again.out) == (0, f"{failed}   sent again\n")
    queue.until(failed, "failed")
    dropped = queue("drop", namespace, failed, waits)
    assert (dropped.status, dropped.out.splitlines()) == (0, [f"{failed}   dropped", f"{waits}   dropped"])
    assert "Dropped" in queue("show", namespace, waits).out
    unknown = str(uuid.UUID(failed[:-1] + ("0" if failed[-1] != "0" else "1")))
    refused = queue("retry", namespace, failed, unknown)
    assert refused.status == 1
    assert [line.partition(":")[0] for line in refused.out.splitlines()] == [
        f"{failed}   not sent again",
        f"{unknown}   not sent again",
    ]
    assert queue("retry", namespace, "nothing").status == 2
    assert queue("drop", namespace, "--all").out == "there is nothing to be dropped\n"


def test_addresses_that_nothing_is_sent_to_are_listed_and_cleared(queue: _Queue) -> None:
    """Two refusals, and nothing more is sent to the address until it is cleared."""
    namespace = queue.tenant.namespace
    assert queue("suppressions", "list", namespace).out == f"no address is suppressed in {namespace}\n"
    for _ in range(2):
        queue.until(queue.send("nobody@example.com"), "failed")
    queue.until(queue.send("nobody@example.com"), "suppressed")
    listed = queue("suppressions", "list", namespace)
    assert listed.status == 0, listed
    assert all(each in listed.out for each in ("default", "nobody@example.com"))
    (item,) = queue("suppressions", "list", namespace, "-o", "json").document["items"]
    assert item["address"] == "nobody@example.com"
    assert queue("suppressions", "clear", namespace).status == 2
    cleared = queue("suppressions", "clear", namespace, "nobody@example.com", "nobody@example.org")
    assert (cleared.status, cleared.out) == (0, f"cleared 1 address of {namespace}\n")
    again = queue("suppressions", "clear", namespace, "nobody@example.com")
    assert (again.status, again.out) == (1, "")
    assert f"not suppressed in {namespace}: nobody@example.com" in again.err
    everything = queue("suppressions", "clear", namespace, "--all", "--organization=default", "-o", "json")
    assert everything.document == {"cleared": 0}
    queue.until(queue.send("nobody@example.com"), "failed")


def test_a_list_that_is_empty_says_what_was_asked_for(queue: _Queue) -> None:
    """That nothing matches does not say that there is nothing; a reason that nobody has is no question."""
    namespace = queue.tenant.namespace
    assert f"nothing of {namespace} is queued" in queue("list", namespace).out
    queue.until(queue.send("later@example.com"), "deferred")
    asked = queue("list", namespace, "--state=failed", "--organization=default")
    assert asked.out == f"no notifications in {namespace} match --state failed --organization default\n"
    unknown = queue("list", namespace, "--reason=RecipientRefuse")
    assert unknown.status == 2
    assert "did you mean RecipientRefused?" in " ".join(unknown.err.split())


def test_who_is_asked_may_say_no(queue: _Queue) -> None:
    """With --interactive nothing is done before somebody has agreed to how much it is."""
    namespace, waits = queue.tenant.namespace, queue.send("later@example.com")
    queue.until(waits, "deferred")
    refused = queue("drop", namespace, "--all", "--interactive", answer="n\n")
    assert refused.status != 0
    assert f"Drop 1 notification of {namespace}?" in refused.err
    queue.until(waits, "deferred")
    assert queue("drop", namespace, "--all", "-i", answer="y\n").out == f"{waits}   dropped\n"


def test_an_organization_is_released(queue: _Queue) -> None:
    """Its name is printed once it is done; where nothing waits, or it is not there, that is said."""
    nothing = queue("release", queue.tenant.namespace)
    assert (nothing.status, nothing.out) == (0, f"{queue.tenant.namespace}/default   nothing waits\n")
    queue.until(queue.send("later@example.com"), "deferred")
    done = queue("release", queue.tenant.namespace)
    told = "released; 1 deferred recipient tried now"
    assert (done.status, done.out) == (0, f"{queue.tenant.namespace}/default   {told}\n")
    missing = queue("release", f"{queue.tenant.namespace}/nothing")
    assert missing.status == 1
    assert "there is no organization" in missing.err


def test_a_queue_that_was_not_restored_is_not_held(
    queue: _Queue, installation: installations.Installation, tmp_path: pathlib.Path
) -> None:
    """Whoever may change the host's settings has it go on, and is told that it does already; nobody else may."""
    refused = queue("resume")
    assert refused.status == 1
    assert "may not update hostemailsettings.mailtier.dev" in refused.err
    file = tmp_path / "platform"
    file.write_text(tenants.token(installation.world.cluster, installation.world.system, "platform"), encoding="ascii")
    way = (f"--url={installation.sender.url}", f"--ca={installation.sender.ca_path}", f"--token-file={file}")
    done = installation.program.run("queue", "resume", *way)
    assert (done.status, done.out) == (0, "no restored queue is held\n")


def test_the_right_that_is_missing_is_named(
    queue: _Queue, installation: installations.Installation, tmp_path: pathlib.Path
) -> None:
    """Whoever may only hand over is told what it takes."""
    namespace = queue.tenant.namespace
    done = installation.program.run("queue", "list", namespace, *installation.to_intake(queue.tenant, tmp_path))
    assert done.status == 1
    assert "may not list notifications.mailtier.dev" in done.err
