"""A node without containers: what an apiserver asks of a kubelet for a port-forward, and nothing else.

It speaks the WebSocket form of the protocol as a kubelet does (`portforward/websocket.go`): two channels, a first
message on each with the port in two bytes, little-endian, then bytes of the connection on channel 0, and what went
wrong on channel 1.
"""

import asyncio
import collections.abc
import contextlib
import dataclasses
import functools
import json
import threading
import typing

from aiohttp import web

from kit import certs, cluster, ports, wait

_PROTOCOL = "v4.channel.k8s.io"
_DATA, _ERROR = b"\x00", b"\x01"
_START_SECONDS = 20


@dataclasses.dataclass(slots=True)
class Kubelet:
    """A node of a cluster, while its context is entered; it runs in a thread of its own.

    Args:
        cluster: Where the node is registered.
        leaf: Its serving certificate.

    Attributes:
        backends: The local port behind each port of a pod; without one the connection is refused.
        requests: Path and subprotocol of each request.
    """

    cluster: cluster.LocalCluster
    leaf: certs.Leaf
    name: str = "node"
    backends: dict[int, int] = dataclasses.field(default_factory=dict)
    requests: list[tuple[str, str | None]] = dataclasses.field(default_factory=list)
    port: int = dataclasses.field(default_factory=ports.free)
    _thread: threading.Thread | None = None
    _end: collections.abc.Callable[[], object] | None = None
    _listening: threading.Event = dataclasses.field(default_factory=threading.Event)

    def __enter__(self) -> typing.Self:
        self._thread = threading.Thread(target=self._run, name="kubelet", daemon=True)
        self._thread.start()
        wait.until(self._listening.is_set, within_seconds=_START_SECONDS, why="the kubelet listens")
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name},
            "status": {
                "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": self.port}},
            },
        }
        self.cluster.kubectl("create", "-f", "-", input=json.dumps(node))
        return self

    def __exit__(self, *exception: object) -> None:
        self.cluster.kubectl("delete", "node", self.name, "--wait=false")
        assert self._thread is not None
        assert self._end is not None
        self._end()
        self._thread.join()

    def run_pod(self, namespace: str, name: str, *, owner: str, intake_port: int) -> None:
        """Have the cluster say that a pod of Mailtier runs here.

        Args:
            namespace: The pod's.
            name: The pod's.
            owner: The StatefulSet that it belongs to.
            intake_port: The port that its container `sender` calls `intake`.
        """
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {"app.kubernetes.io/name": "mailtier"},
            },
            "spec": {
                "nodeName": self.name,
                "containers": [
                    {"name": "operator", "image": "mailtier"},
                    {
                        "name": "sender",
                        "image": "mailtier",
                        "ports": [{"name": "intake", "containerPort": intake_port}],
                    },
                ],
            },
        }
        owned = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": owner, "namespace": namespace}}
        owned["spec"] = {
            "serviceName": owner,
            "selector": {"matchLabels": {"app": owner}},
            "template": {"metadata": {"labels": {"app": owner}}, "spec": pod["spec"]},
        }
        created = self.cluster.kubectl("create", "-o", "json", "-f", "-", input=json.dumps(owned)).stdout
        pod["metadata"]["ownerReferences"] = [  # type: ignore[index]
            {
                "apiVersion": "apps/v1",
                "kind": "StatefulSet",
                "name": owner,
                "uid": json.loads(created)["metadata"]["uid"],
            }
        ]
        self.cluster.kubectl("create", "-f", "-", input=json.dumps(pod))
        status = {
            "phase": "Running",
            "containerStatuses": [
                {"name": each, "ready": True, "restartCount": 0, "image": "mailtier", "imageID": "x"}
                for each in ("operator", "sender")
            ],
        }
        self.cluster.kubectl(
            *("patch", "pod", name, "-n", namespace, "--subresource=status", "--type=merge"),
            f"--patch={json.dumps({'status': status})}",
        )

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_get("/portForward/{namespace}/{pod}", self._forward)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=self.leaf.server_context()).start()
        ended = asyncio.Event()
        self._end = functools.partial(asyncio.get_running_loop().call_soon_threadsafe, ended.set)
        self._listening.set()
        await ended.wait()
        await runner.cleanup()

    async def _forward(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=(_PROTOCOL,))
        await socket.prepare(request)
        self.requests.append((request.path_qs, socket.ws_protocol))
        wanted = int(request.query["port"])
        number = wanted.to_bytes(2, "little")
        await socket.send_bytes(_DATA + number)
        await socket.send_bytes(_ERROR + number)
        backend = self.backends.get(wanted)
        if backend is None:
            await socket.send_bytes(_ERROR + f"error forwarding port {wanted} to pod: connection refused".encode())
            await socket.close()
            return socket
        reader, writer = await asyncio.open_connection("127.0.0.1", backend)
        downwards = asyncio.create_task(_pour(reader, socket))
        try:
            async for message in socket:
                assert message.data[:1] == _DATA
                writer.write(message.data[1:])
                await writer.drain()
        finally:
            # However it ends: the loop may be closed before a connection that is merely dropped.
            downwards.cancel()
            writer.transport.abort()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await asyncio.gather(downwards, writer.wait_closed(), return_exceptions=True)
        return socket


async def _pour(reader: asyncio.StreamReader, socket: web.WebSocketResponse) -> None:
    while data := await reader.read(32 * 1024):
        await socket.send_bytes(_DATA + data)
    await socket.close()
