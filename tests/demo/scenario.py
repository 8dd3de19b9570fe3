"""The story of the demo, act by act. Every act checks what it shows."""

import json
import re
import shlex
import typing

from demo import existing, leaks, mail, screen, stage
from kit import wait

READY = ("acme", "birch", "cedar", "dune")
"""Tenants that are Ready as soon as their YAML is applied."""

SENDERS = {
    "acme": ("Platform", "no-reply@platform.example", "the relay", None),
    "birch": ("Birch & Söhne", "birch@platform.example", "the relay", None),
    "cedar": ("Cedar", "no-reply@cedar.example", "cedar's own server", "cedar"),
    "dune": ("Dune", "no-reply@dune.example", "dune's own server", None),
    "fern": ("Platform", "no-reply@platform.example", "the relay", None),
    "grove": ("Grove", "no-reply@grove.example", "cedar's own server", "grove"),
}
"""Tenant to From name, From address, the server its mail arrives at, and who authenticates there."""

WITHIN = 30


class Story:
    """One run of the demo."""

    def __init__(self, on: stage.Stage) -> None:
        self.on = on
        self.kubectl = on.cluster.kubectl
        self.sent: dict[str, str] = {}
        self.tokens: dict[str, str] = {}

    def apply(self) -> None:
        """Apply the tenants, the host's settings and the organizations' with kubectl."""
        for name, text in (
            ("10-namespaces.yaml", "seven namespaces"),
            ("20-host.yaml", "the host's settings: a relay with StartTLS and a password, and what tenants may do"),
            ("30-organizations.yaml", "the organizations' settings"),
        ):
            with screen.step(f"kubectl apply -f {name}: {text}"):
                self.on.apply(name)
        for namespace in SENDERS:
            self.on.apply("40-applications.yaml", NAMESPACE=namespace)

    def settle(self) -> None:
        """Wait until the operator has judged everything."""
        with screen.step("kubectl wait --for=condition=Ready hes/default, and oes/default of acme, birch, cedar, dune"):
            self._wait("Ready", "hes/default")
            for namespace in READY:
                self._wait("Ready", "oes/default", namespace)
        with screen.step("elm and grove are not ready, and say why"):
            for namespace, reason in (("elm", "CredentialsRequired"), ("grove", "SecretNotBound")):
                self._until_reason(namespace, reason)
        with screen.step("fern has no object, and has effective settings"):
            wait.until(
                lambda: self._effective("fern").get("state") == "Active",
                within_seconds=WITHIN,
                why="the effective settings of fern/default",
            )
        with screen.step("the sender has verified every endpoint that may be used"):
            self._wait("Verified", "hes/default")
            for namespace in READY:
                self._wait("Verified", "oes/default", namespace)
        screen.command("kubectl get hes,oes -A")
        screen.say(self.kubectl("get", "hes,oes", "-A").stdout, indent=4)

    def mend(self) -> None:
        """Mend grove by the very command that its status prints."""
        message = self._condition("grove", "Ready")["message"]
        screen.say(f"grove says: {message}")
        found = re.search(r"kubectl annotate .*?--overwrite", message)
        screen.expect(found, "a kubectl annotate command in the message", message)
        assert found is not None
        screen.command(found.group())
        with screen.step("grove is Ready and Verified after that command"):
            self.kubectl(*shlex.split(found.group())[1:])
            self._wait("Ready", "oes/default", "grove")
            self._wait("Verified", "oes/default", "grove")
        screen.say("\nWhat the sender is given for cedar, and where each value came from:")
        screen.command("kubectl get configmap -n mailtier-system cedar.default -o yaml")
        shown = self._effective("cedar")
        origins = dict(line.split(": ", 1) for line in shown["provenance"].splitlines())
        for path in sorted(origins):
            if path in shown and not path.startswith(("notifications", "delivery")):
                screen.say(f"{path:<22}{shown[path]:<26}{origins[path]}", indent=4)

    def send(self) -> None:
        """Hand notifications over: by HTTPS for six tenants, and one as an object."""
        with screen.step("POST a JobAlert to https://…/organizations/default/notifications for each tenant"):
            for namespace in SENDERS:
                self.tokens[namespace] = self.kubectl(
                    "create", "token", "app", "-n", namespace, "--audience=mailtier"
                ).stdout.strip()
                alert = {
                    "category": "JobAlert",
                    "severity": "Error",
                    "recipients": [f"operations@{namespace}.example"],
                    "subject": f"A job of {namespace} failed",
                    "text": "The job ended with status 3.",
                }
                self.sent[namespace] = mail.post(self.on, namespace, self.tokens[namespace], alert, key="demo-1")["id"]
        with screen.step("POST the same again: the same id, and no second mail"):
            again = mail.post(
                self.on,
                "acme",
                self.tokens["acme"],
                {
                    "category": "JobAlert",
                    "severity": "Error",
                    "recipients": ["operations@acme.example"],
                    "subject": "A job of acme failed",
                    "text": "The job ended with status 3.",
                },
                key="demo-1",
            )
            screen.expect(again["id"] == self.sent["acme"], f"the id {self.sent['acme']}", again["id"])
        with screen.step("POST a PasswordRecovery with a reset link"):
            body: dict[str, typing.Any] = {
                "category": "PasswordRecovery",
                "recipients": ["alice@acme.example"],
                "text": mail.PHRASE,
                "data": {"link": mail.LINK, "expires": "2026-12-01 12:00 UTC"},
            }
            self.sent["recovery"] = mail.post(self.on, "acme", self.tokens["acme"], body, key="demo-2")["id"]
        with screen.step("kubectl apply a Notification; it goes to the category's recipients"):
            self.on.apply("50-notification.yaml")
            self.kubectl(
                "wait", "--for=condition=Complete", "ntf/nightly-import", "-n", "birch", f"--timeout={WITHIN}s"
            )

    def check(self) -> None:
        """Check what arrived, from whom, at which server, authenticated as whom."""
        with screen.step("GET each by its id: accepted by the SMTP server"):
            for namespace, identifier in self.sent.items():
                tenant = "acme" if namespace == "recovery" else namespace
                record = self._completed(tenant, identifier)
                states = {recipient["state"] for recipient in record["recipients"]}
                screen.expect(states == {"accepted"}, f"{namespace}: accepted", record)
        found = mail.arrived(self.on)
        with screen.step("each arrived once, from the right sender, at the right server"):
            screen.expect(len(found) == len(SENDERS) + 2, f"{len(SENDERS) + 2} messages", len(found))
            for namespace, (name, address, server, username) in SENDERS.items():
                messages = [one for one in found if one.message["To"] == f"operations@{namespace}.example"]
                screen.expect(len(messages) == 1, f"one message for {namespace}", len(messages))
                sender = messages[0].message["From"].addresses[0]
                seen = (sender.display_name, sender.addr_spec, messages[0].server, messages[0].username)
                screen.expect(seen == (name, address, server, username), f"{namespace}: {SENDERS[namespace]}", seen)
            recovery = [one for one in found if one.message["To"] == "alice@acme.example"]
            for what, words in (("the reset link", mail.LINK), ("the text", mail.PHRASE)):
                screen.expect(words in _text(recovery[0].message), f"{what} in its mail", "a mail without it")
            alert = [one for one in found if one.message["To"] == "ops@platform.example"]
            screen.expect(len(alert) == 1, "the Notification object's mail", len(alert))
        with screen.step("cedar's server was authenticated to; dune's offers AUTH and saw none; elm's saw nobody"):
            screen.expect("AUTH" in mail.commands(self.on.own), "AUTH at cedar's server", mail.commands(self.on.own))
            screen.expect(
                "AUTH" not in mail.commands(self.on.open) and "MAIL" in mail.commands(self.on.open),
                "mail and no AUTH at dune's server",
                mail.commands(self.on.open),
            )
            screen.expect(self.on.silent.transcript() == [], "no connection", self.on.silent.transcript())
        screen.say("\nThe mail of birch, as it arrived:")
        shown = next(one.message for one in found if one.message["To"] == "operations@birch.example")
        for header in ("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"):
            screen.say(f"{header}: {shown[header]}", indent=4)
        screen.say("\n" + _text(shown), indent=4)

    def search(self) -> int:
        """Search everything that was written for passwords, reset link and text; return how much that was."""
        with screen.step("no password, reset link or its mail's text in logs, objects, metrics or the queue's files"):
            # What the queue wiped may stand in SQLite's log for a minute; a sender that ends truncates it.
            metrics = leaks.metrics(self.on)
            self.on.stop_sender()
            found = leaks.search(self.on, metrics)
        with screen.step("the sender, stopped for that, is back on the same queue"):
            self.on.start_sender()
            existing.until_ready("sender", self.on.sender_port)
            record = mail.status(self.on, "acme", self.tokens["acme"], self.sent["acme"])
            screen.expect(record["complete"], "the record of acme's notification", record)
        return found

    def summary(self, traces: int) -> str:
        """Print the tenants in a table, and return the last line."""
        screen.command("kubectl get hes,oes,ntf -A")
        screen.say(self.kubectl("get", "hes,oes,ntf", "-A").stdout, indent=4)
        found = mail.arrived(self.on)
        rows: list[tuple[str, ...]] = []
        for namespace, (name, address, server, _) in SENDERS.items():
            account = {"the relay": "as the host", "dune's own server": "no"}.get(server, f"as {namespace}")
            rows.append((namespace, f"{name} <{address}>", server, account))
        rows.append(("elm", "-", "nobody: CredentialsRequired", "no"))
        screen.table(("TENANT", "FROM", "DELIVERED BY", "AUTHENTICATED"), rows)
        # One for each tenant, a password recovery, an object, and one by hand.
        total = len(SENDERS) + 3
        return (
            f"delivered {len(found)} of {total} notifications through 3 SMTP servers for {len(SENDERS)} organizations;"
            f" 1 organization is held back for want of credentials; no secret in {traces} traces"
        )

    def _wait(self, condition: str, what: str, namespace: str | None = None) -> None:
        where = ("-n", namespace) if namespace else ()
        self.kubectl("wait", f"--for=condition={condition}", what, *where, f"--timeout={WITHIN}s")

    def _condition(self, namespace: str, kind: str) -> dict[str, typing.Any]:
        found = json.loads(self.kubectl("get", "oes", "default", "-n", namespace, "-o", "json").stdout)
        for condition in found["status"].get("conditions", []):
            if condition["type"] == kind:
                return dict(condition)
        return {"reason": "", "message": ""}

    def _effective(self, namespace: str) -> dict[str, str]:
        found = self.kubectl(
            "get", "configmap", f"{namespace}.default", "-n", stage.SYSTEM, "-o", "json", "--ignore-not-found"
        ).stdout
        return dict(json.loads(found)["data"]) if found else {}

    def _until_reason(self, namespace: str, reason: str) -> None:
        wait.until(
            lambda: self._condition(namespace, "Ready")["reason"] == reason,
            within_seconds=WITHIN,
            why=f"{namespace} is {reason}",
        )

    def _completed(self, namespace: str, identifier: str) -> dict[str, typing.Any]:
        """Return a notification's record once every recipient has a final state."""

        def ask() -> dict[str, typing.Any] | None:
            record = mail.status(self.on, namespace, self.tokens[namespace], identifier)
            return record if record["complete"] else None

        record = wait.until(ask, within_seconds=WITHIN, why=f"{identifier} of {namespace} is complete")
        assert record is not None
        return record


def _text(message: typing.Any) -> str:
    return str(message.get_body(preferencelist=("plain",)).get_content())
