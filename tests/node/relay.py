"""The platform's relay in a pod, and what arrived there."""

import collections
import hashlib
import json
import pathlib
import secrets
import string
import textwrap
import typing
import urllib.request

from kit import certs
from node.ground import configuration, images, node

ADDRESS = "10.0.0.25"
"""Of its Service, to which the DNS leads `smtp.platform.example` too."""

NAME = "smtp.platform.example"
_API = f"http://{ADDRESS}:8025"
_PAGE = 5000
_REQUEST_SECONDS = 20
_YAML = pathlib.Path(__file__).parent / "yaml"


class Relay:
    """A Mailpit in a pod.

    Args:
        on: The cluster.
        authority: Who signs its certificate.
    """

    def __init__(self, on: node.Node, authority: certs.Authority) -> None:
        self._on = on
        self._authority = authority
        self.password = secrets.token_urlsafe(18)

    def start(self, *, password: str | None = None) -> None:
        """Start it, or start it again with a new certificate and, where one is given, another password."""
        self.password = password or self.password
        leaf = self._authority.issue(NAME, file_name="relay")
        self._on.kubectl("apply", "-f", "-", input=self._manifest(leaf))
        self._on.kubectl("rollout", "status", "-n", "mail", "deployment/relay", "--timeout=90s")

    def subjects(self) -> collections.Counter[str]:
        """Return how often each subject arrived."""
        found: collections.Counter[str] = collections.Counter()
        while True:
            page = self._get(f"/api/v1/messages?limit={_PAGE}&start={found.total()}")["messages"]
            found.update(message["Subject"] for message in page)
            if len(page) < _PAGE:
                return found

    def message(self, subject: str) -> dict[str, typing.Any]:
        """Return a message as Mailpit understood it."""
        for message in self._get(f"/api/v1/messages?limit={_PAGE}")["messages"]:
            if message["Subject"] == subject:
                return self._get(f"/api/v1/message/{message['ID']}")
        raise AssertionError(f"no mail with the subject {subject!r} arrived")

    def _manifest(self, leaf: certs.Leaf) -> str:
        certificate, key = (path.read_text(encoding="ascii") for path in (leaf.cert_path, leaf.key_path))
        return string.Template((_YAML / "relay.yaml").read_text(encoding="utf-8")).substitute(
            PARTS=images.PARTS,
            RELAY=ADDRESS,
            PASSWORD=self.password,
            # A pod that is there shall be replaced when what it has read is.
            DIGEST=hashlib.sha256((self.password + certificate).encode()).hexdigest()[:16],
            CERTIFICATE=textwrap.indent(certificate, "    "),
            KEY=textwrap.indent(key, "    "),
            FOLDER=str(self._on.folder / "relay"),
        )

    def _get(self, path: str) -> dict[str, typing.Any]:
        with urllib.request.urlopen(_API + path, timeout=_REQUEST_SECONDS) as answer:  # noqa: S310  # Our own address.
            return typing.cast("dict[str, typing.Any]", json.load(answer))


def cluster_manifest(name: str) -> str:
    """Return the YAML of what a cluster has before anybody installs anything in it: its DNS and its storage."""
    text = (_YAML / name).read_text(encoding="utf-8")
    return string.Template(text).substitute(PARTS=images.PARTS, RELAY=ADDRESS, DNS=configuration.DNS)
