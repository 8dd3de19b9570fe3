"""What the commands ask the apiserver, and what a refusal means to whoever typed the command."""

import contextlib
import dataclasses
import pathlib
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

from mailtier.api import names, secret
from mailtier.cli import failures
from mailtier.kube import client, configuration, errors, paths, token_requests

_SENDER: Final = "sender"
_INTAKE_PORT: Final = "intake"
_DEFAULT_PORT: Final = 8443
POD_LABELS: Final = "app.kubernetes.io/name=mailtier"
_REPLICA_SET_LABEL: Final = "pod-template-hash"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SenderPod:
    """Where the sender is.

    Attributes:
        port: Of its intake.
        server_name: What the intake's certificate is for: the chart gives workload and Service one name.
    """

    namespace: str
    name: str
    port: int
    server_name: str


@contextlib.asynccontextmanager
async def connect(*, context: str, kubeconfig: pathlib.Path | None, instead: str = "") -> AsyncIterator[client.Client]:
    """Give a client of the cluster that the kubeconfig, or the pod that this runs in, names.

    Args:
        context: Of the kubeconfig; "" for its current one.
        kubeconfig: The file; None for the usual one.
        instead: What else would do than a kubeconfig.

    Raises:
        CommandError: There is no usable configuration.
    """
    try:
        connection = configuration.load(context=context or None, kubeconfig=kubeconfig)
    except errors.ConfigurationError as error:
        told = f"{error}, or {instead}" if instead else str(error)
        raise failures.CommandError(told, status=failures.Status.USAGE) from error
    async with client.Client(connection) as api:
        yield api


@contextlib.contextmanager
def explained(action: str, *, hint: str = "", missing: str = "it is not there") -> Iterator[None]:
    """Turn what the apiserver says no to into one line for whoever typed the command.

    Args:
        action: What needs which right, such as `list orgemailsettings.mailtier.dev in all namespaces`.
        hint: What else would do.
        missing: What it means that there is no such thing.
    """
    try:
        yield
    except errors.ForbiddenError as error:
        other = f", or {hint}" if hint else ""
        raise failures.CommandError(f"you may not {action}: have that right granted{other}") from error
    except errors.UnauthorizedError as error:
        raise failures.CommandError("the cluster does not accept your credentials: log in again") from error
    except errors.NotFoundError as error:
        raise failures.CommandError(f"cannot {action}: {missing}") from error
    except errors.ApiError as error:
        raise failures.CommandError(f"cannot {action}: {error}") from error


async def require_namespace(api: client.Client, namespace: str) -> None:
    """Return if there is a namespace, or nobody may say so.

    Raises:
        CommandError: There is none, or the cluster does not answer.
    """
    with (
        explained(f"look at the namespace {namespace}", missing="there is no such namespace"),
        contextlib.suppress(errors.ForbiddenError),
    ):
        await api.get(paths.namespaces(namespace))


async def request_token(api: client.Client, *, namespace: str, account: str) -> secret.Hidden:
    """Return a token of a ServiceAccount for the intake."""
    with explained(
        f"create serviceaccounts/token of {namespace}/{account}",
        hint="name another with --as-service-account, or give a token with --token-file",
        missing="there is no such ServiceAccount; name another with --as-service-account",
    ):
        return await token_requests.request(api, namespace=namespace, account=account, audience=names.TOKEN_AUDIENCE)


async def find_sender(api: client.Client, namespace: str) -> SenderPod:
    """Return the pod that the sender runs in.

    Raises:
        CommandError: There is none, or it may not be looked for.
    """
    with explained(f"list pods in the namespace {namespace}", hint="name the intake with --url"):
        found = await api.list(paths.pods(namespace), labels=POD_LABELS)
    candidates = [pod for pod in found.items if any(_is_sender(each) for each in pod["spec"]["containers"])]
    running = [pod for pod in candidates if (pod.get("status") or {}).get("phase") == "Running"]
    if not running:
        what = "is running" if candidates else "has a sender"
        raise failures.CommandError(
            f"no pod of Mailtier in the namespace {namespace} {what}; name its namespace with --operator-namespace, or"
            " the intake with --url"
        )
    return _sender_pod(namespace, min(running, key=_is_unready))


async def find_authority(api: client.Client, namespace: str) -> str | None:
    """Return the certificates that the operator publishes for clients of the intake; None where it has none."""
    path = paths.config_maps(namespace, names.INTAKE_CA_CONFIG_MAP)
    with explained(f"get configmap {names.INTAKE_CA_CONFIG_MAP} in the namespace {namespace}", hint="use --ca"):
        try:
            found = await api.get(path)
        except errors.NotFoundError:
            return None
    return (found.get("data") or {}).get(names.CA_KEY)


def _is_sender(container: dict[str, Any]) -> bool:
    return bool(container["name"] == _SENDER)


def _is_unready(pod: dict[str, Any]) -> bool:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return not any(status["name"] == _SENDER and status.get("ready") for status in statuses)


def _sender_pod(namespace: str, pod: dict[str, Any]) -> SenderPod:
    container = next(filter(_is_sender, pod["spec"]["containers"]))
    ports = {port.get("name"): port["containerPort"] for port in container.get("ports") or ()}
    return SenderPod(
        namespace=namespace,
        name=pod["metadata"]["name"],
        port=ports.get(_INTAKE_PORT, _DEFAULT_PORT),
        server_name=f"{service_of(pod['metadata'])}.{namespace}.svc",
    )


def service_of(metadata: Mapping[str, Any]) -> str:
    """Return the name of the Service of a pod, which is that of the StatefulSet or Deployment that made the pod.

    Args:
        metadata: Of the pod.
    """
    for owner in metadata.get("ownerReferences") or ():
        if owner["kind"] == "StatefulSet":
            return str(owner["name"])
        # A Deployment's pods belong to its ReplicaSets, whose names end with what the pods are labelled with.
        if owner["kind"] == "ReplicaSet":
            generation = (metadata.get("labels") or {}).get(_REPLICA_SET_LABEL, "")
            return str(owner["name"]).removesuffix(f"-{generation}")
    return "mailtier"
