"""Reading from a cluster, and from the pods in it, what the checks judge."""

import asyncio
import contextlib
import datetime as dt
import email.utils
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import mailtier
from mailtier.api import crds, names
from mailtier.cli import failures
from mailtier.cli.online import cluster
from mailtier.cli.online.checking import definitions, findings, rights, running, sender, settings
from mailtier.cli.online.measuring import pages
from mailtier.kube import client, errors, forwarding, paths, trust

_HANDSHAKE_SECONDS: Final = 15.0
_DEFAULT_ACCOUNT: Final = "default"

_Object = dict[str, Any]


class Checks:
    """Looks at a cluster from end to end.

    Args:
        api: The cluster.
        namespace: Mailtier's.
        now: Returns this machine's aware UTC time.
    """

    def __init__(self, api: client.Client, *, namespace: str, now: Callable[[], dt.datetime]) -> None:
        self._api = api
        self._namespace = namespace
        self._now = now

    async def look(self) -> list[findings.CheckFinding]:
        """Return what was found, from the CRDs to the certificates.

        Raises:
            CommandError: The cluster does not answer.
        """
        with cluster.explained("look at the cluster"):
            pods, hidden = await self._pods()
            answered = await pages.read_all(self._api, pods, parts=("operator", "sender"))
            operator_version = next((page.version for page in answered if page.part == "operator" and page.version), "")
            return [
                *await self._definitions(operator_version),
                *await self._rights(pods),
                *hidden,
                *await self._running(pods, is_hidden=bool(hidden)),
                *self._pages(answered),
                *await self._host(),
                *await self._certificate(pods),
            ]

    async def _pods(self) -> tuple[list[_Object], list[findings.CheckFinding]]:
        """Return Mailtier's pods, or what is to be said of those that may not be seen."""
        try:
            found = await self._api.list(paths.pods(self._namespace), labels=cluster.POD_LABELS)
        except errors.ForbiddenError:
            told = f"You may not list pods in the namespace {self._namespace}."
            return [], [findings.unknown("Pods", told, "Have that right granted, or have somebody check who may.")]
        # A list leaves out the kind's fields that each object has when it is read alone; these are all there.
        return sorted(found.items, key=lambda pod: str(pod["metadata"]["name"])), []

    async def _definitions(self, operator_version: str) -> list[findings.CheckFinding]:
        try:
            read = [await _find(self._api.get(paths.crds(resource.name))) for resource in crds.ALL]
        except errors.ForbiddenError:
            told = "You may not get customresourcedefinitions.apiextensions.k8s.io."
            return [
                findings.unknown(definitions.CHECK, told, "Have that right granted, or have somebody check who may.")
            ]
        found = {resource.name: crd for resource, crd in zip(crds.ALL, read, strict=True)}
        return definitions.judge(found, operator_version=operator_version, own_version=mailtier.__version__)

    async def _rights(self, pods: Sequence[_Object]) -> list[findings.CheckFinding]:
        missing = [right for right in rights.CALLER if not await self._may(right)]
        account = str(pods[0]["spec"].get("serviceAccountName") or _DEFAULT_ACCOUNT) if pods else ""
        return [
            *rights.judge_caller(missing, namespace=self._namespace),
            *rights.judge_operator(
                await self._operator_lacks(account) if account else None, namespace=self._namespace, account=account
            ),
        ]

    async def _may(self, right: rights.Right) -> bool:
        return await self._review(paths.SELF_SUBJECT_ACCESS_REVIEWS, "SelfSubjectAccessReview", right, {})

    async def _operator_lacks(self, account: str) -> list[rights.Right] | None:
        own = self._namespace
        subject = {
            "user": f"system:serviceaccount:{own}:{account}",
            "groups": ["system:authenticated", "system:serviceaccounts", f"system:serviceaccounts:{own}"],
        }
        try:
            return [
                right
                for right in rights.OPERATOR
                if not await self._review(paths.SUBJECT_ACCESS_REVIEWS, "SubjectAccessReview", right, subject)
            ]
        except errors.ForbiddenError:
            return None

    async def _review(self, path: str, kind: str, right: rights.Right, subject: Mapping[str, Any]) -> bool:
        spec = {"resourceAttributes": right.attributes(self._namespace), **subject}
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
        found = await self._api.create(path, body)
        return bool((found.get("status") or {}).get("allowed"))

    async def _running(self, pods: Sequence[_Object], *, is_hidden: bool) -> list[findings.CheckFinding]:
        now = self._now()
        try:
            lease = await _find(self._api.get(paths.leases(self._namespace, names.LEASE_NAME)))
        except errors.ForbiddenError:
            told = f"You may not get the Lease {self._namespace}/{names.LEASE_NAME}."
            leads = [findings.unknown("Leader", told, "Have that right granted, or have somebody check who may.")]
        else:
            api_time = _date(self._api.date)
            leads = [
                running.leader(lease, namespace=self._namespace, now=api_time or now),
                *running.clock(lease, api_time=api_time, now=self._now()),
            ]
        # An operator outside the cluster has no pod, and leads all the same.
        is_elsewhere = not pods and leads[0].verdict is findings.Verdict.OK
        shown = () if is_hidden or is_elsewhere else running.pods(pods, namespace=self._namespace, now=now)
        claims = await self._claims(pods)
        return [*shown, *leads, *running.volumes(pods, claims, namespace=self._namespace)]

    async def _claims(self, pods: Sequence[_Object]) -> dict[str, _Object | None] | None:
        wanted = {
            volume["persistentVolumeClaim"]["claimName"]
            for pod in pods
            for volume in pod["spec"].get("volumes") or ()
            if volume.get("persistentVolumeClaim")
        }
        try:
            return {name: await _find(self._api.get(paths.volume_claims(self._namespace, name))) for name in wanted}
        except errors.ForbiddenError:
            return None

    def _pages(self, answered: Iterable[pages.MetricsPage]) -> list[findings.CheckFinding]:
        return [
            finding
            for page in answered
            for finding in (
                sender.operator(page, own_version=mailtier.__version__)
                if page.part == "operator"
                else sender.sender(page)
            )
        ]

    async def _host(self) -> list[findings.CheckFinding]:
        try:
            host = await _find(self._api.get(paths.host_settings(names.HOST_NAME)))
        except errors.ForbiddenError:
            told = f"You may not get {names.HOST_PLURAL}.{names.GROUP}."
            return [findings.unknown("Host settings", told, "Have that right granted.")]
        return list(settings.judge(host))

    async def _certificate(self, pods: Sequence[_Object]) -> list[findings.CheckFinding]:
        if not pods:
            return []
        try:
            pod = await cluster.find_sender(self._api, self._namespace)
            authority = await cluster.find_authority(self._api, self._namespace)
        except failures.CommandError as error:
            return [findings.unknown("Certificate", f"The intake is not looked at: {error}.")]
        expires_at, problem = None, ""
        if authority is not None:
            try:
                expires_at = await self._handshake(pod, authority)
            except errors.ForbiddenError:
                told = f"You may not get pods/portforward in the namespace {self._namespace}."
                return [findings.unknown("Certificate", told, "Have that right granted.")]
            except (OSError, ValueError, errors.ApiError, forwarding.PodUnreachableError) as error:
                problem = str(error).rstrip(".") or type(error).__name__
        has_authority = authority is not None
        return [sender.certificate(expires_at, problem=problem, has_authority=has_authority, now=self._now())]

    async def _handshake(self, pod: cluster.SenderPod, authority: str) -> dt.datetime:
        """Return until when the certificate is valid that the intake shows, verified."""
        context = trust.client_context(cadata=authority)
        connection = self._api.connection
        async with forwarding.Forward(connection, namespace=pod.namespace, pod=pod.name, port=pod.port) as forward:
            try:
                async with asyncio.timeout(_HANDSHAKE_SECONDS):
                    _, writer = await asyncio.open_connection(
                        "127.0.0.1", forward.port, ssl=context, server_hostname=pod.server_name
                    )
            except OSError:
                # What the port-forward knows says more.
                forward.check()
                raise
            try:
                shown = writer.get_extra_info("peercert")["notAfter"]
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
        return dt.datetime.fromtimestamp(ssl.cert_time_to_seconds(shown), dt.UTC)


async def _find(reading: Awaitable[_Object]) -> _Object | None:
    """Return what is read, or None where there is none."""
    try:
        return await reading
    except errors.NotFoundError:
        return None


def _date(text: str) -> dt.datetime | None:
    try:
        found = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
