"""What the demo asks of the intake and of the SMTP servers."""

import dataclasses
import email
import email.message
import email.policy
import json
import ssl
import typing
import urllib.error
import urllib.request

from demo import stage
from kit import smtpd

LINK = "https://platform.example/reset?token=5u9er-5ecret-0f-the-re5et"
"""A reset link, which must be found nowhere but in the mail."""

PHRASE = "Grüße: violet lanterns drift over the quiet harbour tonight"
"""A sentence of a PasswordRecovery's text, which must be found nowhere but in the mail either."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A message as a server took it.

    Attributes:
        server: Which one, for people.
        username: Who had authenticated; None for nobody or where the server does not say.
    """

    server: str
    username: str | None
    message: email.message.EmailMessage

    @property
    def message_id(self) -> str:
        """The Message-ID header."""
        return str(self.message["Message-ID"])


def path(namespace: str) -> str:
    """Return where an organization's notifications go in the intake."""
    return f"/v1/namespaces/{namespace}/organizations/default/notifications"


def post(
    on: stage.Stage, namespace: str, token: str, body: dict[str, typing.Any], *, key: str
) -> dict[str, typing.Any]:
    """Hand a notification over by HTTPS, and return the answer."""
    content = json.dumps(body).encode()
    return _request(on, "POST", path(namespace), token, body=content, headers={"Idempotency-Key": key})


def status(on: stage.Stage, namespace: str, token: str, identifier: str) -> dict[str, typing.Any]:
    """Return what became of a notification."""
    return _request(on, "GET", f"{path(namespace)}/{identifier}", token)


def _request(
    on: stage.Stage,
    method: str,
    where: str,
    token: str,
    *,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> dict[str, typing.Any]:
    request = urllib.request.Request(  # noqa: S310  # The scheme is ours.
        on.intake_url + where,
        data=body,
        method=method,
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json", **(headers or {})},
    )
    context = ssl.create_default_context(cafile=str(on.intake_ca))
    try:
        with urllib.request.urlopen(request, context=context, timeout=15) as answer:  # noqa: S310  # As above.
            return typing.cast("dict[str, typing.Any]", json.load(answer))
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{method} {where} was answered with {error.code}: {error.read().decode()}") from error


def arrived(on: stage.Stage) -> list[Arrived]:
    """Return every message at every server."""
    found = [
        Arrived(server="the relay", username=None, message=_parse(on.relay.raw(summary["ID"])))
        for summary in on.relay.messages()
    ]
    for name, server in (("cedar's own server", on.own), ("dune's own server", on.open), ("elm's server", on.silent)):
        contents = _contents(server)
        found += [
            Arrived(server=name, username=record["username"], message=contents[record["message_id"]])
            for record in server.messages()
        ]
    return found


def commands(server: smtpd.Process) -> list[str]:
    """Return the verb of every command that a server was sent."""
    verbs, in_content = [], False
    for line in server.transcript():
        if line["direction"] == "S":
            in_content = line["line"].startswith("354")
        elif not in_content and line["line"].strip():
            verbs.append(line["line"].split()[0].upper())
    return verbs


def _contents(server: smtpd.Process) -> dict[str, email.message.EmailMessage]:
    """Return every message that a server's transcript holds, by Message-ID."""
    messages = (_parse(line["line"].encode()) for line in server.transcript() if "\r\nMessage-ID:" in line["line"])
    return {str(message["Message-ID"]): message for message in messages}


def _parse(raw: bytes) -> email.message.EmailMessage:
    return email.message_from_bytes(raw, policy=email.policy.default)
