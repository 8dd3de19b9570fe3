"""An application that notifies without a pause, and remembers what was acknowledged."""

import dataclasses
import http.client
import json
import ssl
import threading
import time
import typing
import urllib.error
import urllib.request

_REQUEST_SECONDS = 10
_PAUSE_SECONDS = 0.2
_GIVEN_UP_SECONDS = 180
_PATH = "/v1/namespaces/{}/organizations/default/notifications"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """Where an application hands over, and as whom.

    Attributes:
        url: Of the intake, as applications in the cluster name it.
        ca_pem: Whom its certificate is from.
        namespace: The application's.
        token: Of its ServiceAccount, for the audience `mailtier`.
    """

    url: str
    ca_pem: str
    namespace: str
    token: str

    def post(self, body: dict[str, typing.Any], *, key: str) -> str:
        """Return the id of a notification that was acknowledged.

        Raises:
            OSError: It was not: nobody answered, or the answer was another.
        """
        answer = self._ask("POST", _PATH.format(self.namespace), content=json.dumps(body).encode(), key=key)
        return str(answer["id"])

    def record(self, identifier: str) -> dict[str, typing.Any]:
        """Return what became of a notification."""
        return self._ask("GET", f"{_PATH.format(self.namespace)}/{identifier}")

    def _ask(self, method: str, path: str, *, content: bytes | None = None, key: str = "") -> dict[str, typing.Any]:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        request = urllib.request.Request(self.url + path, data=content, method=method, headers=headers)  # noqa: S310  # https.
        tls = ssl.create_default_context(cadata=self.ca_pem)
        try:
            with urllib.request.urlopen(request, context=tls, timeout=_REQUEST_SECONDS) as answer:  # noqa: S310  # As above.
                return typing.cast("dict[str, typing.Any]", json.load(answer))
        except urllib.error.HTTPError as error:
            raise OSError(f"{error.code}: {error.read().decode(errors='replace')}") from error
        except http.client.HTTPException as error:
            raise OSError(f"the connection ended: {error!r}") from error


class Traffic:
    """Notifications one after the other, by several threads, while its context is entered.

    A request that is not acknowledged is repeated under its key until it is, as an application has to.

    Args:
        intake: Where they go.
        name: What their subjects begin with.
        threads: How many at once.
        pause_seconds: Of each thread, between two.
    """

    def __init__(self, intake: Intake, name: str, *, threads: int = 2, pause_seconds: float = 0.05) -> None:
        self.intake = intake
        self._name = name
        self._pause_seconds = pause_seconds
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(threads)]
        self.acknowledged: dict[str, str] = {}
        self.refusals: list[str] = []
        self.longest_silence_seconds = 0.0

    def __enter__(self) -> typing.Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _run(self, thread: int) -> None:
        number = 0
        while not self._ended.is_set():
            subject = f"{self._name}-{thread}-{number}"
            number += 1
            self._hand_over(subject)
            self._ended.wait(self._pause_seconds)

    def _hand_over(self, subject: str) -> None:
        begun = time.monotonic()
        # What was asked once may have been taken: it is asked again until the answer is known, also at the end.
        while time.monotonic() < begun + _GIVEN_UP_SECONDS:
            try:
                self.acknowledged[subject] = hand_over(self.intake, subject)
            except OSError as error:
                self.refusals.append(str(error))
                time.sleep(_PAUSE_SECONDS)
            else:
                self.longest_silence_seconds = max(self.longest_silence_seconds, time.monotonic() - begun)
                return


def hand_over(intake: Intake, subject: str) -> str:
    """Return the id of a notification that was acknowledged; its key is its subject.

    Raises:
        OSError: It was not.
    """
    body = {
        "category": "JobAlert",
        "severity": "Warn",
        "recipients": ["ops@acme.example"],
        "subject": subject,
        "text": "A step of a long day.",
    }
    return intake.post(body, key=subject)
