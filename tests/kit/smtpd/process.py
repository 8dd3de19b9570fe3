"""The test server in a process of its own, seen from the process that started it."""

import json
import pathlib
import sys
import typing

from kit import certs, ports, processes, wait
from kit.smtpd import options

_START_SECONDS = 20
_TESTS = pathlib.Path(__file__).parents[2]


class Process:
    """A test server that runs while its context is entered, and whose files stay in its folder.

    Started again after `stop` or `kill` it listens on the same port and appends to the same files.

    Args:
        folder: Where its log, messages and transcript go; made if it is missing.
        leaf: The certificate it presents; needed with TLS.
        tls: Its TLS mode.
        users: Passwords by user name.
        script: Rules as `Script.from_json` reads them.
        arguments: Further arguments, as `python -m kit.smtpd --help` tells them.
        transcript: Whether everything that is said is written down; a bench does without.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        *,
        leaf: certs.Leaf | None = None,
        tls: options.Tls = options.Tls.DISABLED,
        users: dict[str, str] | None = None,
        script: list[dict[str, object]] | None = None,
        arguments: tuple[str, ...] = (),
        transcript: bool = True,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.host = "127.0.0.1"
        self.port = ports.free()
        self._folder = folder
        self._messages = folder / "messages.jsonl"
        self._transcript = folder / "transcript.jsonl"
        self._argv = [f"--port={self.port}", f"--tls={tls}", f"--messages={self._messages}", *arguments]
        if transcript:
            self._argv.append(f"--transcript={self._transcript}")
        if leaf:
            self._argv += [f"--cert={leaf.cert_path}", f"--key={leaf.key_path}"]
        for user, password in (users or {}).items():
            self._argv += [f"--user={user}", f"--password={password}"]
        if script is not None:
            (folder / "script.json").write_text(json.dumps(script), encoding="utf-8")
            self._argv.append(f"--script={folder / 'script.json'}")
        self._child: processes.Child | None = None

    def __enter__(self) -> typing.Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and return when it listens.

        Raises:
            PortInUseError: Something else listens at its address.
            RuntimeError: It ended; the text quotes its log.
            wait.NotInTimeError: It does not listen in time.
        """
        ports.require(self.host, self.port, "a test's SMTP server")
        log = self._folder / "smtpd.log"
        log.unlink(missing_ok=True)
        child = processes.start(
            [sys.executable, "-m", "kit.smtpd", *self._argv],
            log=log,
            name="smtpd",
            env={"PYTHONPATH": str(_TESTS)},
        )
        self._child = child
        wait.until(
            lambda: "listening on" in child.last_lines() or not child.running,
            within_seconds=_START_SECONDS,
            why="the SMTP server listens",
        )
        if not child.running:
            raise RuntimeError(child.ended_early())

    def stop(self) -> None:
        """Stop it and drop its connections."""
        if self._child:
            self._child.stop()
            self._child = None

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._child:
            self._child.kill()
            self._child = None

    def messages(self) -> list[dict[str, typing.Any]]:
        """Return the messages taken so far: `message_id`, `mail_from`, `rcpt_to`, `connection`, and more."""
        return _records(self._messages)

    @property
    def taken_bytes(self) -> int:
        """The size of what `messages` reads: it grows with each message that is taken."""
        return self._messages.stat().st_size if self._messages.exists() else 0

    def transcript(self) -> list[dict[str, typing.Any]]:
        """Return what was said so far: `connection`, `direction` (C or S), `line`, `tls`, `at`."""
        return _records(self._transcript)


def _records(path: pathlib.Path) -> list[dict[str, typing.Any]]:
    """Return the complete lines of a file of JSON lines; the last one may be in the making."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines]
