"""Mailpit, an SMTP server by other people, with STARTTLS and AUTH required and an HTTP API to look inside."""

import json
import pathlib
import secrets
import typing
import urllib.parse
import urllib.request

from kit import binaries, certs, ports, processes, wait

_START_SECONDS = 20
_REQUEST_SECONDS = 10


class Mailpit:
    """A Mailpit that runs while its context is entered, with an empty mailbox in its folder.

    Args:
        folder: Where its files go; made if it is missing.
        leaf: The certificate it presents.
        user: The only user it lets in.
        password: That user's password; a random one by default.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        leaf: certs.Leaf,
        *,
        user: str = "mailtier",
        password: str | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.host = host
        self.port = ports.free(host)
        self.user = user
        self.password = password or secrets.token_urlsafe(12)
        self.url = f"http://127.0.0.1:{ports.free()}"
        self._folder = folder
        self._leaf = leaf
        self._child: processes.Child | None = None

    def __enter__(self) -> typing.Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and return when it answers.

        Raises:
            PortInUseError: Something else listens at its address.
            RuntimeError: It ended; the text quotes its log.
            wait.NotInTimeError: It does not answer in time.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        users = self._folder / "users"
        users.touch(mode=0o600)
        users.write_text(f"{self.user}:{self.password}\n", encoding="utf-8")
        (program,) = binaries.ensure("mailpit").values()
        ports.require(self.host, self.port, "Mailpit")
        child = processes.start(
            [
                program,
                f"--database={self._folder / 'mailpit.db'}",
                "--disable-version-check",
                "--max=0",
                f"--listen={self.url.removeprefix('http://')}",
                f"--smtp={self.host}:{self.port}",
                f"--smtp-auth-file={users}",
                f"--smtp-tls-cert={self._leaf.cert_path}",
                f"--smtp-tls-key={self._leaf.key_path}",
                "--smtp-require-starttls",
                "--smtp-disable-rdns",
            ],
            log=self._folder / "mailpit.log",
        )
        self._child = child
        wait.until(
            lambda: not child.running or self._is_ready(),
            within_seconds=_START_SECONDS,
            why="mailpit answers",
        )
        if not child.running:
            raise RuntimeError(child.ended_early())

    def stop(self) -> None:
        """Stop it; its messages stay in its folder."""
        if self._child:
            self._child.stop()
            self._child = None

    def messages(self) -> list[dict[str, typing.Any]]:
        """Return the summaries of the newest 1,000 messages, the newest one first."""
        return list(self._json("/api/v1/messages?limit=1000")["messages"])

    def message(self, identifier: str) -> dict[str, typing.Any]:
        """Return a message as Mailpit understood it: addresses, subject, text, HTML.

        Args:
            identifier: The `ID` of its summary.
        """
        return self._json(f"/api/v1/message/{urllib.parse.quote(identifier)}")

    def raw(self, identifier: str) -> bytes:
        """Return a message's bytes, with the Received header that Mailpit put before them."""
        return self._get(f"/api/v1/message/{urllib.parse.quote(identifier)}/raw")

    def _is_ready(self) -> bool:
        try:
            self._get("/readyz")
        except OSError:
            return False
        return True

    def _json(self, path: str) -> dict[str, typing.Any]:
        return typing.cast("dict[str, typing.Any]", json.loads(self._get(path)))

    def _get(self, path: str) -> bytes:
        opened = urllib.request.urlopen(self.url + path, timeout=_REQUEST_SECONDS)  # noqa: S310 - Our own address.
        with opened as answer:
            return bytes(answer.read())
