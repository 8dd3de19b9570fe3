"""What is played by hand besides: everything that happens to an installation in years."""

import json
import secrets
import socket
import ssl
import time

from kit import certs, wait
from node import database, pages, release, story, traffic

_BACKUP = "docs/how-to/backup.md"
_DATABASE = "docs/how-to/postgres.md"
_TENANT = story.TENANT
_RECOVERY_SECONDS = 180
_DOUBT_SECONDS = 420


class LongStory(story.Story):
    """The further steps, each a method that leaves a working installation."""

    def roll_back(self) -> None:
        """Go back to the version before while mail flows: it runs on the tables of its successor."""
        with self.steps.step("helm rollback, mail flowing") as notes:
            with traffic.Traffic(self.intake(), "rollback") as flowing:
                self.flows(flowing)
                self.release.roll_back()
                self.flows(flowing)
            self.all_arrived(flowing, notes)

    def delete_pod(self, *, force: bool) -> None:
        """Delete the pod at full load, with its grace or without any."""
        how = "--force --grace-period=0" if force else ""
        with self.steps.step(f"kubectl delete pod {how}".strip() + " at full load") as notes:
            name = "killed" if force else "deleted"
            with traffic.Traffic(self.intake(), name, threads=8, pause_seconds=0) as flowing:
                self.flows(flowing, count=200)
                uid = self._uid()
                self.on.kubectl("delete", "pod", "-n", release.SYSTEM, release.POD, *how.split(), "--wait=false")
                self.on.until(lambda: self._uid() not in {uid, ""}, "there is another pod", seconds=_RECOVERY_SECONDS)
                self.release.await_ready()
                self.flows(flowing, count=200)
            self.all_arrived(flowing, notes)

    def drain(self) -> None:
        """Drain the node, as for maintenance, and have it back."""
        with self.steps.step("kubectl drain, and uncordon") as notes:
            with traffic.Traffic(self.intake(), "drained") as flowing:
                self.flows(flowing)
                self.on.kubectl(
                    "drain", "node", "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=120s"
                )
                self.on.kubectl("uncordon", "node")
                for namespace, deployment in (("kube-system", "coredns"), ("mail", "relay")):
                    self.on.kubectl("rollout", "status", "-n", namespace, f"deployment/{deployment}", "--timeout=90s")
                self.release.await_ready()
                self.flows(flowing)
            self.all_arrived(flowing, notes)

    def restore(self) -> None:
        """Back the queue up, lose it, restore it, and let go what is held, by the commands of the page."""
        shell = pages.Shell(self.on.folder / "shell", self.on.cluster.kubeconfig)
        with self.steps.step("backup, restore, look and go on, by the commands of the page") as notes:
            intake = self.intake()
            before = traffic.hand_over(intake, "before-the-backup")
            wait.until(lambda: intake.record(before)["complete"], within_seconds=60, why="it is delivered")
            shell.run(pages.block(_BACKUP, "Back up"))
            shell.write("restore.yaml", pages.block(_BACKUP, "Restore", "yaml").replace("IMAGE", self._image()))
            shell.run(pages.block(_BACKUP, "Restore"))
            self.release.await_ready()
            held = traffic.hand_over(self.intake(), "after-the-restore")
            (recipient,) = self.intake().record(held)["recipients"]
            notes.append(f"held: {recipient.get('reason')}")
            shell.run(pages.block(_BACKUP, "Look, and go on", containing="create serviceaccount platform"))
            shell.run("mailtier queue resume --as-service-account mailtier-system/platform")
            wait.until(lambda: self.intake().record(held)["complete"], within_seconds=90, why="it is delivered then")

    def move_to_database(self, server: database.Database) -> None:
        """Move the queue into a database: the volume's is sealed, copied and left."""
        with self.steps.step("the queue moved to Postgres") as notes:
            subject, identifier = next(reversed(self.acknowledged.items()))
            self._secret("mailtier-queue", dsn=server.dsn)
            self._scale(0)
            notes.append(self._move())
            self._install(replicas=1)
            intake = self.intake()
            assert intake.record(identifier)["complete"]
            assert traffic.hand_over(intake, subject) == identifier
            with traffic.Traffic(intake, "database") as flowing:
                self.flows(flowing)
            self.all_arrived(flowing, notes)

    def two_senders(self, authority: certs.Authority) -> None:
        """Go on with two pods, and back to one, while mail flows."""
        with self.steps.step("two senders, and back to one, mail flowing") as notes:
            self.certificate(authority)
            with traffic.Traffic(self._own_intake(authority), "two") as flowing:
                self._install(replicas=2)
                self.flows(flowing, count=100)
                self._install(replicas=1)
                self.on.kubectl(
                    "wait", "-n", release.SYSTEM, "pod/mailtier-1", "--for=delete", f"--timeout={_RECOVERY_SECONDS}s"
                )
                self.flows(flowing)
            self.all_arrived(flowing, notes)

    def rotate(self, authority: certs.Authority, server: database.Database) -> None:
        """Change every Secret and certificate, one after the other, while mail flows."""
        with traffic.Traffic(self._own_intake(authority), "rotated") as flowing:
            with self.steps.step("rotated: the relay's certificate and password"):
                password = secrets.token_urlsafe(18)
                self.relay.start(password=password)
                self._patch("relay-password", password=password)
                self._asked_again()
            with self.steps.step("rotated: the database's password"):
                server.rotate()
                self._patch("mailtier-queue", dsn=server.dsn)
                self.flows(flowing, count=50)
            with self.steps.step("rotated: the intake's certificate") as notes:
                before = time.monotonic()
                certificate = self.certificate(authority)
                self.on.until(
                    lambda: self._is_presented(certificate, authority),
                    "the intake presents it",
                    seconds=_RECOVERY_SECONDS,
                )
                notes.append(f"presented after {time.monotonic() - before:.0f} s")
                self.flows(flowing)
        with self.steps.step("everything that was acknowledged meanwhile has arrived") as notes:
            # While the database lets nobody in, a dot may be noted and not be sent: that is in doubt for five minutes.
            self.all_arrived(flowing, notes, seconds=_DOUBT_SECONDS)

    def certificate(self, authority: certs.Authority) -> str:
        """Make the Secret of the intake's certificate anew, and return the certificate, PEM."""
        host = f"{release.NAME}.{release.SYSTEM}.svc"
        leaf = authority.issue(host, f"{host}.cluster.local", file_name="intake")
        certificate = leaf.cert_path.read_text(encoding="ascii")
        data = {"tls.crt": certificate, "tls.key": leaf.key_path.read_text("ascii"), "ca.crt": authority.ca_pem}
        self._secret("mailtier-intake", kind="kubernetes.io/tls", **data)
        return certificate

    def _install(self, *, replicas: int) -> None:
        """Go on with the queue in the database, and the intake's certificate in a Secret where there is one."""
        has_certificate = bool(self.on.get("secret", "mailtier-intake", "-n", release.SYSTEM))
        tls = {"secretName": "mailtier-intake"} if has_certificate else {}
        postgres = {"dsnSecret": {"name": "mailtier-queue"}}
        self.values = {"sender": {"replicas": replicas, "postgres": postgres, "tls": tls}}
        self.go_to(self.version)

    def _own_intake(self, authority: certs.Authority) -> traffic.Intake:
        """Return the intake, of which clients trust the platform's own authority."""
        self._install(replicas=1)
        # The operator publishes it within seconds of seeing it.
        self.on.until(lambda: self.published_ca().strip() == authority.ca_pem.strip(), "the authority is published")
        return self.intake()

    def _scale(self, replicas: int) -> None:
        self.on.kubectl("scale", "-n", release.SYSTEM, f"statefulset/{release.NAME}", f"--replicas={replicas}")
        if replicas == 0:
            self.on.kubectl("wait", "-n", release.SYSTEM, f"pod/{release.POD}", "--for=delete", "--timeout=120s")

    def _move(self) -> str:
        """Run the Job that the page gives, and return the last line that it printed."""
        manifest = pages.block(_DATABASE, "Move a volume's queue", "yaml").replace("IMAGE", self._image())
        where = ("-n", release.SYSTEM)
        self.on.kubectl("apply", *where, "-f", "-", input=manifest)
        job = "job/mailtier-queue-move"
        finished = self.on.kubectl("wait", *where, job, "--for=condition=Complete", "--timeout=150s", check=False)
        printed = self.on.kubectl("logs", *where, job, check=False).stdout
        assert finished.returncode == 0, printed
        self.on.kubectl("delete", *where, job)
        return str(printed.strip().splitlines()[-1])

    def _image(self) -> str:
        found = self.on.get("sts", release.NAME, "-n", release.SYSTEM)
        return str(found["spec"]["template"]["spec"]["containers"][0]["image"])

    def _secret(self, name: str, *, kind: str = "Opaque", **data: str) -> None:
        metadata = {"name": name, "namespace": release.SYSTEM}
        self.on.apply({"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": metadata, "stringData": data})

    def _patch(self, name: str, **data: str) -> None:
        patch = json.dumps({"stringData": data})
        self.on.kubectl("patch", "secret", name, "-n", release.SYSTEM, f"--patch={patch}")

    def _asked_again(self) -> None:
        """Ask for a new look at the host's settings, as the page on rotation says, and wait for Verified."""
        token = secrets.token_hex(4)
        self.on.kubectl("annotate", "hes", "default", f"mailtier.dev/requested-at={token}", "--overwrite")
        handled = f"--for=jsonpath={{.status.lastHandledRequestedAt}}={token}"
        self.on.kubectl("wait", "hes/default", handled, "--timeout=60s")
        self.on.kubectl("wait", "hes/default", "--for=condition=Verified", "--timeout=120s")

    def _is_presented(self, certificate: str, authority: certs.Authority) -> bool:
        host = f"{release.NAME}.{release.SYSTEM}.svc.cluster.local"
        with (
            socket.create_connection((host, 443), timeout=10) as raw,
            authority.client_context().wrap_socket(raw, server_hostname=host) as session,
        ):
            presented = session.getpeercert(binary_form=True)
        assert presented is not None
        return ssl.DER_cert_to_PEM_cert(presented).strip() in certificate

    def _uid(self) -> str:
        found = self.on.get("pod", release.POD, "-n", release.SYSTEM)
        return str(found["metadata"]["uid"]) if found else ""
