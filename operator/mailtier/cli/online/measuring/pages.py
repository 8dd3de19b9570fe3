"""What the containers of Mailtier's pods say of themselves: their pages of metrics, through a port-forward."""

import asyncio
import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

import aiohttp

from mailtier.kube import client, errors, forwarding
from mailtier.telemetry import metrics_pages

_PORTS: Final[Mapping[str, tuple[str, int]]] = {
    "operator": ("http-operator", 8080),
    "sender": ("http-sender", 8081),
}
"""Of each container: what the chart calls the port of its health page, and which one it is by default."""

_SECONDS: Final = 15.0
_MAXIMUM_BYTES: Final = 4 * 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MetricsPage:
    """What a container of a pod answered.

    Attributes:
        pod: Its name.
        part: operator or sender.
        samples: None where it did not answer.
        problem: Why it did not.
        is_forbidden: Whether that is because it may not be asked.
    """

    pod: str
    part: str
    samples: metrics_pages.Samples | None = None
    problem: str = ""
    is_forbidden: bool = False

    def values(self, name: str) -> Mapping[metrics_pages.Labels, float]:
        """Return the values of a series by their labels."""
        return (self.samples or {}).get(name) or {}

    def value(self, name: str) -> float | None:
        """Return the value of a series without labels, or of the first one; None without any."""
        return next(iter(self.values(name).values()), None)

    @property
    def version(self) -> str:
        """Which version of Mailtier it has; "" where that is not known."""
        return next((dict(labels).get("version", "") for labels in self.values("mailtier_build_info")), "")


async def read_all(api: client.Client, pods: Sequence[Mapping[str, Any]], *, parts: Sequence[str]) -> list[MetricsPage]:
    """Return the pages of containers, pod by pod; one that does not answer says why.

    Args:
        api: The cluster.
        pods: Of Mailtier.
        parts: operator, sender, or both.
    """
    return list(await asyncio.gather(*(_read(api, pod, part) for pod in pods for part in parts)))


async def _read(api: client.Client, pod: Mapping[str, Any], part: str) -> MetricsPage:
    name = str(pod["metadata"]["name"])
    forward = forwarding.Forward(
        api.connection, namespace=pod["metadata"]["namespace"], pod=name, port=_port(pod, part)
    )
    try:
        async with forward:
            try:
                return MetricsPage(pod=name, part=part, samples=metrics_pages.read(await _fetch(forward.port)))
            except (aiohttp.ClientError, OSError, ValueError) as error:
                # What the port-forward knows says more.
                forward.check()
                return MetricsPage(pod=name, part=part, problem=f"{type(error).__name__} while its metrics were read")
    except errors.ForbiddenError:
        return MetricsPage(pod=name, part=part, problem="you may not get pods/portforward there", is_forbidden=True)
    except (errors.ApiError, forwarding.PodUnreachableError) as error:
        return MetricsPage(pod=name, part=part, problem=str(error).rstrip("."))


async def _fetch(port: int) -> str:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS)) as session,
        session.get(f"http://127.0.0.1:{port}/metrics", raise_for_status=True, allow_redirects=False) as answer,
    ):
        content = await answer.content.read(_MAXIMUM_BYTES)
        while len(content) < _MAXIMUM_BYTES and (more := await answer.content.read(_MAXIMUM_BYTES - len(content))):
            content += more
    return content.decode(errors="replace")


def _port(pod: Mapping[str, Any], part: str) -> int:
    name, default = _PORTS[part]
    for container in pod["spec"]["containers"]:
        if container["name"] == part:
            with contextlib.suppress(StopIteration):
                return next(
                    int(each["containerPort"]) for each in container.get("ports") or () if each.get("name") == name
                )
    return default
