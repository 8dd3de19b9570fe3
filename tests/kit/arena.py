"""One cluster with an operator, a sender and the host's relay, for tenants that attack it.

Everything is real: an API server with our CRDs, both programs with the rights of the installation, SMTP servers that
listen. All servers of tenants have one port, which the host's policy opens, and an address of their own in 127/8.
"""

import collections.abc
import contextlib
import dataclasses
import json
import pathlib
import secrets
import typing

from kit import background, certs, intake, leaks, operators, rest, sender, smtpd, tenants, wait, worlds
from kit import cluster as cluster_kit
from kit import ports as ports_kit

ROOT = pathlib.Path(__file__).resolve().parents[2]
SYSTEM = "mailtier-system"
RELAY_USER = "platform"
CERTIFICATE_NAME = "smtp.test"
QUOTA_MESSAGES = 100
WITHIN = 30.0
"""Seconds that anything may take before a test gives up."""

ALERT: typing.Final = {"category": "JobAlert", "recipients": ["somebody@tenant.example"], "text": "It failed."}
"""A notification for one recipient."""

_ACCOUNT = "mailtier"
_RIGHTS = pathlib.PurePath("tests/demo/yaml/00-operator.yaml")
# Rights that an installation gives with projections switched on.
_PROJECTIONS_CREATE = (
    "create",
    "clusterrole",
    "mailtier-projections",
    "--resource=configmaps",
    "--verb=get,create,patch,delete",
)
_PROJECTIONS_BIND = (
    "create",
    "clusterrolebinding",
    "mailtier-projections",
    "--clusterrole=mailtier-projections",
    f"--serviceaccount={SYSTEM}:{_ACCOUNT}",
)
_PLURALS = {"Namespace": "namespaces", "Secret": "secrets", "ConfigMap": "configmaps"}
_ADDRESSES_PER_BLOCK = 250

Json = dict[str, typing.Any]


def host_spec(port: int, *others: int) -> Json:
    """Return the spec of the arena's HostEmailSettings, whose policy is as open as a sensible one may be.

    Args:
        port: The one on which relay and tenants' servers listen.
        others: Further ones on which tenants' servers may listen.
    """
    return {
        "smtp": {
            "host": "127.0.0.1",
            "port": port,
            "tls": {"serverName": CERTIFICATE_NAME, "caRef": {"kind": "ConfigMap", "name": "relay-ca"}},
        },
        "auth": {"username": RELAY_USER, "passwordSecretRef": {"name": "relay-password"}},
        "from": {"address": "no-reply@platform.example", "displayName": "Platform"},
        "policy": {
            "from": {"allow": ["{namespace}@platform.example"]},
            "endpoints": {
                "hostAllow": ["127.0.0.0/8"],
                "allow": [{"cidr": "127.0.0.0/8", "ports": [port, *others]}, {"host": "*"}],
                "deny": [
                    {"host": "closed.example.org"},
                    {"host": "*.closed.example.net"},
                    {"cidr": "8.8.8.0/24"},
                ],
                "anonymous": True,
            },
        },
    }


class Arena:
    """What attacks are played in; at work while its context is entered.

    Args:
        folder: Where everything is written.
        tree: Whose programs, kinds and rights are used; ours by default.
        sender_arguments: Further ones of the sender's command line.
        launcher: What starts the sender, before its own command line.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        *,
        tree: pathlib.Path = ROOT,
        sender_arguments: collections.abc.Sequence[str] = (),
        launcher: collections.abc.Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self._tree = tree
        self._sender_arguments = sender_arguments
        self._launcher = launcher
        self.secrets: list[leaks.Secret] = []
        self.relay_users: dict[str, str] = {}
        self.authority = certs.Authority(folder / "certificates")
        self.port, self.token_port = ports_kit.free(), ports_kit.free()
        self._leaf = self.authority.issue(CERTIFICATE_NAME)
        self._served = 0
        self._stack = contextlib.ExitStack()
        self.cluster: cluster_kit.LocalCluster
        self.rest: rest.Rest
        self.sender: sender.Sender
        self.operator: operators.Operator
        self.relay: smtpd.Server
        self.client: intake.Client
        self.account: pathlib.Path
        self.loop: background.Loop

    def __enter__(self) -> typing.Self:
        with contextlib.ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def _start(self, stack: contextlib.ExitStack) -> None:
        self.cluster = stack.enter_context(
            cluster_kit.LocalCluster(self.folder / "cluster", controller_manager=True, audit=True)
        )
        self.cluster.apply_crds(self._tree / "crds")
        self.cluster.kubectl("apply", "-f", str(self._tree / _RIGHTS))
        self.cluster.kubectl(*_PROJECTIONS_CREATE)
        self.cluster.kubectl(*_PROJECTIONS_BIND)
        self.account = self.cluster.kubeconfig_for(SYSTEM, _ACCOUNT)
        self.rest = rest.Rest(self.cluster)
        stack.callback(self.rest.close)
        self.loop = stack.enter_context(background.Loop())
        password = self.relay_users[RELAY_USER] = self.secret("the host's password", username=RELAY_USER)
        # It takes mail from our address without AUTH, as many relays do, so that nothing but our own rules is in
        # the way of whoever wants to send as the host.
        self.relay = self._serve("127.0.0.1", self.starttls(users=self.relay_users, require_auth=False), stack)
        self.put(secret(SYSTEM, "relay-password", password, endpoint=f"127.0.0.1:{self.port}"))
        self.put(config_map(SYSTEM, "relay-ca", {"ca.crt": self.authority.ca_pem}))
        self.put(worlds.document("HostEmailSettings", "default", **host_spec(self.port, self.token_port)))
        program = {"PYTHONPATH": str(self._tree / "operator")}
        self.sender = stack.enter_context(
            sender.Sender(
                self.folder / "sender",
                kubeconfig=self.account,
                namespace=SYSTEM,
                arguments=[
                    "--full-at=1.0",
                    f"--quota-messages={QUOTA_MESSAGES}",
                    "--log-level=DEBUG",
                    *self._sender_arguments,
                ],
                # Token servers are verified against the public authorities, which the arena's is for this process.
                env={"SSL_CERT_FILE": str(self.authority.ca_path), **program},
                launcher=self._launcher,
            )
        )
        self.operator = stack.enter_context(
            operators.Operator(self.sender.socket.parent, self.account, namespace=SYSTEM, env=program)
        )
        wait.until(self.operator.is_ready, within_seconds=60, why="the operator is ready", poll_seconds=0.1)
        self.client = intake.Client(self.sender.url, self.sender.tls)
        self.loop.run(self.client.__aenter__())
        stack.callback(lambda: self.loop.run(self.client.__aexit__(None, None, None)))

    def secret(self, name: str, *, username: str = "") -> str:
        """Return a new secret, which nothing that the run writes may hold."""
        value = secrets.token_urlsafe(18)
        self.secrets.append(leaks.Secret(name=name, value=value, username=username))
        return value

    def starttls(self, *, leaf: certs.Leaf | None = None, **fields: typing.Any) -> smtpd.Options:
        """Return the options of a server that offers STARTTLS.

        Args:
            leaf: Its certificate; one of the arena's authority by default.
            fields: Of the options.
        """
        context = (leaf or self._leaf).server_context()
        return smtpd.Options(tls=smtpd.Tls.STARTTLS, context=context, **fields)

    @contextlib.contextmanager
    def serve(self, options: smtpd.Options) -> typing.Iterator[smtpd.Server]:
        """Give a running server at an address of its own."""
        self._served += 1
        block, number = divmod(self._served, _ADDRESSES_PER_BLOCK)
        with contextlib.ExitStack() as stack:
            yield self._serve(f"127.0.{7 + block}.{1 + number}", options, stack)

    def _serve(self, address: str, options: smtpd.Options, stack: contextlib.ExitStack) -> smtpd.Server:
        server = smtpd.Server(options, host=address, port=self.port)
        self.loop.run(server.start())
        stack.callback(lambda: self.loop.run(server.stop()))
        return server

    def put(self, document: Json) -> Json:
        """Apply an object, as its owner's pipeline would."""
        status, answer = self.try_put(document)
        assert status in {200, 201}, (path_of(document), answer)
        return answer

    def try_put(self, document: Json, **query: str) -> tuple[int, Json]:
        """Return what the API server answers to an object that is applied."""
        owner = {"fieldManager": "tenant", "force": "true"}
        return self.rest.request("PATCH", path_of(document), document, content_type=rest.APPLY, **owner, **query)

    def get(self, kind: str, namespace: str, name: str) -> Json | None:
        """Return an object, or None."""
        metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
        status, answer = self.rest.request("GET", path_of({"kind": kind, "metadata": metadata}))
        return answer if status == 200 else None

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Delete an object."""
        metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
        status, answer = self.rest.request("DELETE", path_of({"kind": kind, "metadata": metadata}))
        assert status in {200, 202}, answer

    def attacker(self) -> "Attacker":
        """Return a tenant with a namespace of its own, which holds nothing yet."""
        tenant = tenants.create(self.cluster)
        self.secrets.append(leaks.Secret(name=f"the token of {tenant.namespace}", value=tenant.token))
        return Attacker(arena=self, tenant=tenant)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Attacker:
    """A tenant, and what it may do in its namespace."""

    arena: Arena
    tenant: tenants.Tenant

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return self.tenant.namespace

    def bring(self, password: str, *, endpoint: str | None, name: str = "smtp", key: str = "password") -> None:
        """Apply a Secret, and the CA bundle of the arena's servers.

        Args:
            password: Its value.
            endpoint: The annotation that binds it; None for none.
            name: Of the Secret.
            key: Of the value in it.
        """
        self.arena.put(config_map(self.namespace, "ca", {"ca.crt": self.arena.authority.ca_pem}))
        self.arena.put(secret(self.namespace, name, password, endpoint=endpoint, key=key))

    def settings(self, spec: Json, *, name: str = "default") -> None:
        """Apply settings."""
        self.arena.put(worlds.document("OrgEmailSettings", name, self.namespace, **spec))

    def notify(self, name: str, spec: Json) -> None:
        """Apply a Notification."""
        self.arena.put(worlds.document("Notification", name, self.namespace, **spec))

    def own(self, server: smtpd.Server, **changes: typing.Any) -> Json:
        """Return settings for a server of its own, with StartTLS, the Secret `smtp` and the shortest time limits."""
        return own_spec(server.host, server.port) | changes

    def status(self, *, kind: str = "OrgEmailSettings", name: str = "default") -> Json:
        """Return the status of an object; {} while it has none that speaks of its generation."""
        found = self.arena.get(kind, self.namespace, name)
        status = (found or {}).get("status", {})
        if found is None or status.get("observedGeneration") != found["metadata"]["generation"]:
            return {}
        return dict(status)

    def condition(self, type_: str, *, kind: str = "OrgEmailSettings", name: str = "default") -> Json:
        """Return a condition of an object; {} while there is none."""
        conditions = self.status(kind=kind, name=name).get("conditions", [])
        return next((dict(found) for found in conditions if found["type"] == type_), {})

    def until_reason(
        self, *reasons: str, type_: str = "Ready", kind: str = "OrgEmailSettings", name: str = "default"
    ) -> Json:
        """Return a condition once it has one of these reasons."""
        seen: list[Json] = []

        def has_reason() -> bool:
            seen[:] = [self.condition(type_, kind=kind, name=name)]
            return seen[0].get("reason") in reasons

        try:
            wait.until(has_reason, within_seconds=WITHIN, why=f"{type_} is {reasons}", poll_seconds=0.05)
        except wait.NotInTimeError as error:
            raise wait.NotInTimeError(f"{error}; it is {seen}") from None
        return seen[0]

    def effective(self, name: str = "default") -> Json:
        """Return the data of its effective ConfigMap; {} while there is none."""
        found = self.arena.get("ConfigMap", SYSTEM, f"{self.namespace}.{name}")
        return {} if found is None else dict(found["data"])

    def until_known(self, organization: str = "default") -> None:
        """Return when the sender knows an organization."""
        self.arena.loop.run(intake.until_known(self.arena.client, self.tenant, organization))

    def post(self, body: Json, *, organization: str = "default", **options: typing.Any) -> intake.Answer:
        """Return the intake's answer to a notification, sent once the sender knows the organization."""
        self.until_known(organization)
        return self.arena.loop.run(self.arena.client.post(self.tenant, body, organization=organization, **options))

    def look_up(self, answer: intake.Answer) -> Json:
        """Return where a notification that was taken stands."""
        return self.arena.loop.run(self.arena.client.look_up(self.tenant, answer))

    def until_held(self) -> str:
        """Return why the sender holds its messages, once it does.

        A recipient is shown as held after ten seconds only; the log tells at once.
        """

        def held() -> str:
            for line in self.arena.sender.log.read_text(encoding="utf-8").splitlines():
                if '"messages are held"' in line and f"{self.namespace}/" in line:
                    return str(json.loads(line)["reason"])
            return ""

        return wait.until(held, within_seconds=WITHIN, why=f"{self.namespace} is held", poll_seconds=0.1)

    def until_complete(self, answer: intake.Answer) -> Json:
        """Return where a notification stands once every recipient has a final state."""
        return self.arena.loop.run(intake.until_complete(self.arena.client, self.tenant, answer))

    def until_states(self, answer: intake.Answer, *states: str) -> Json:
        """Return where a notification stands once its first recipient is in one of these states."""

        def reached() -> Json | None:
            found = self.look_up(answer)
            return found if found["recipients"][0]["state"] in states else None

        found = wait.until(reached, within_seconds=WITHIN, why=f"the recipient is {states}", poll_seconds=0.05)
        assert found is not None
        return found


def own_spec(host: str, port: int) -> Json:
    """Return an organization's settings for a server of its own."""
    return {
        "smtp": {
            "host": host,
            "port": port,
            "tls": {"serverName": CERTIFICATE_NAME, "caRef": {"kind": "ConfigMap", "name": "ca"}},
        },
        "auth": {"username": "robot", "passwordSecretRef": {"name": "smtp"}},
        "from": {"address": "robot@tenant.example"},
        "delivery": {"timeouts": {"session": "1s", "envelope": "1s", "message": "1s"}},
    }


def secret(namespace: str, name: str, value: str, *, endpoint: str | None, key: str = "password") -> Json:
    """Return a Secret with a password, bound to an endpoint or to none."""
    annotations = {} if endpoint is None else {"annotations": {"mailtier.dev/endpoint": endpoint}}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, **annotations},
        "stringData": {key: value},
    }


def config_map(namespace: str, name: str, data: dict[str, str]) -> Json:
    """Return a ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


def path_of(document: Json) -> str:
    """Return the path of an object of ours or of the core."""
    plural = _PLURALS.get(document["kind"])
    if plural is None:
        return rest.item(document)
    metadata = document["metadata"]
    inside = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"/api/v1{inside}/{plural}/{metadata['name']}"
