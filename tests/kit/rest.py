"""Plain HTTP to a test's apiserver: what it answers, whatever the status."""

import http.client
import json
import ssl
import typing
import urllib.parse

from kit import cluster as cluster_kit
from mailtier.api import crds, names

_SECONDS = 30
_PLURALS = {resource.kind: resource.plural for resource in crds.ALL}

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


class Rest:
    """One connection with the administrator's token. Not for several threads.

    Args:
        cluster: A running control plane.
    """

    def __init__(self, cluster: cluster_kit.LocalCluster) -> None:
        address = urllib.parse.urlsplit(cluster.url)
        assert address.hostname is not None
        self._connection = http.client.HTTPSConnection(
            address.hostname, address.port, context=cluster.tls, timeout=_SECONDS
        )
        self._headers = {"Authorization": f"Bearer {cluster.admin_token}"}

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        **query: str | int,
    ) -> tuple[int, dict[str, typing.Any]]:
        """Return the status and the JSON of an answer.

        Args:
            method: An HTTP method.
            path: From the root of the apiserver.
            body: What is sent as JSON, which is YAML too; nothing when None.
            content_type: Of the body; a patch's type says how it is merged.
            query: Parameters of the query.
        """
        target = f"{path}?{urllib.parse.urlencode(query)}" if query else path
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = {**self._headers, "Content-Type": content_type}
        was_open = self._connection.sock is not None
        try:
            return self._exchange(method, target, data, headers)
        except (ConnectionError, ssl.SSLEOFError):
            # The server may close a connection that was idle just as it is used again.
            if not was_open:
                raise
        return self._exchange(method, target, data, headers)

    def _exchange(
        self, method: str, target: str, data: bytes | None, headers: dict[str, str]
    ) -> tuple[int, dict[str, typing.Any]]:
        try:
            self._connection.request(method, target, data, headers)
            answer = self._connection.getresponse()
            text = answer.read()
        except BaseException:
            # The next request opens another one.
            self._connection.close()
            raise
        return answer.status, json.loads(text) if text else {}

    def try_out(self, document: dict[str, typing.Any]) -> tuple[int, str]:
        """Return the status of creating an object with strict fields, and why not; nothing is stored."""
        status, answer = self.request("POST", collection(document), document, dryRun="All", fieldValidation="Strict")
        return status, "" if answer.get("kind") != "Status" else str(answer["message"])


def collection(document: dict[str, typing.Any]) -> str:
    """Return the path where objects of this object's kind and namespace are."""
    namespace = document["metadata"].get("namespace")
    inside = f"/namespaces/{namespace}" if namespace else ""
    return f"/apis/{names.API_VERSION}{inside}/{_PLURALS[document['kind']]}"


def item(document: dict[str, typing.Any]) -> str:
    """Return the path of an object."""
    return f"{collection(document)}/{document['metadata']['name']}"
