"""An object for every reason: inputs of the core that lead to it, and the status that it makes of them.

The table of states in the documentation is computed from these, and the tests show them to kstatus, Argo CD and Flux.
A reason without a state fails a test, so that a new one comes with an input that leads to it.
"""

import collections.abc
import dataclasses
import typing

from kit import specs, tiers
from mailtier.api import feed, names, reasons, vocabulary
from mailtier.handlers import notification_status
from mailtier.settings import codec, conditions, observed, resolve

GENERATION: typing.Final = 3

_HOST, _ORG, _NOTIFICATION = names.HOST_KIND, names.ORG_KIND, names.NOTIFICATION_KIND
_CLEAR: typing.Final = {"smtp": {"host": "relay.example.com", "tls": {"mode": "Disabled"}}, "from": tiers.OWN["from"]}
_PRIVATE_CA: typing.Final = {"host": "smtp.example.org", "tls": {"caRef": {"kind": "ConfigMap", "name": "ca"}}}
_SELECTED: typing.Final = {"organizations": {"mode": "Selector", "selector": {"matchLabels": {"mail": "on"}}}}
_CLOSED: typing.Final = {"endpoints": {"deny": [{"host": "smtp.example.org"}]}}
_MAIL_ONLY: typing.Final = {"endpoints": {"allow": [{"host": "smtp.example.org"}]}}
_AUDIT: typing.Final = {"mode": "Audit", "locked": ["from.displayName"]}
_ELSEWHERE: typing.Final = {"jobAlert": {"recipients": ["ops@example.org"]}}

_LINTED: typing.Final[dict[reasons.Reason, dict[str, typing.Any]]] = {
    reasons.ERRORS: {"smtp": {"host": "smtp.example.org", "port": 465}},
    reasons.WARNINGS: {"smtp": {"host": "smtp.example.org", "port": 25}},
    reasons.NOTES: {"from": {"address": "team@another-company.com"}},
}
_SECRET_READS: typing.Final = {
    reasons.SECRET_NOT_FOUND: observed.SecretRead(outcome=observed.ReadOutcome.NOT_FOUND),
    reasons.NAMESPACE_NOT_GRANTED: observed.SecretRead(outcome=observed.ReadOutcome.FORBIDDEN),
    reasons.SECRET_NOT_BOUND: observed.SecretRead(outcome=observed.ReadOutcome.FOUND, version="uid/1"),
    reasons.SECRET_KEY_MISSING: observed.SecretRead(
        outcome=observed.ReadOutcome.FOUND,
        version="uid/1",
        annotation="smtp.example.org,relay.example.com",
        unfit=observed.SecretKey(purpose=observed.Purpose.PASSWORD, name="password"),
        problem="there is no such key",
    ),
    reasons.API_UNAVAILABLE: observed.SecretRead(outcome=observed.ReadOutcome.UNAVAILABLE),
}
_CERTIFICATE: typing.Final = {"host": "smtp.example.org", "tls": {"clientCertificateRef": {"name": "client"}}}
_ENDED: typing.Final = observed.SecretRead(
    outcome=observed.ReadOutcome.FOUND,
    version="uid/2",
    annotation="smtp.example.org",
    unfit=observed.SecretKey(purpose=observed.Purpose.CERTIFICATE, name=names.CERTIFICATE_KEY),
    problem="the certificate ended on 2026-01-01",
)
_CA_READS: typing.Final = {
    reasons.CA_NOT_FOUND: observed.CaRead(outcome=observed.ReadOutcome.NOT_FOUND),
    reasons.CA_FORBIDDEN: observed.CaRead(outcome=observed.ReadOutcome.FORBIDDEN),
    reasons.CA_INVALID: observed.CaRead(
        outcome=observed.ReadOutcome.FOUND, problem="the bundle holds no PEM certificate"
    ),
}
_PROJECTIONS: typing.Final = {
    reasons.PROJECTION_CONFLICT: conditions.Projection.CONFLICT,
    reasons.PROJECTION_NOT_GRANTED: conditions.Projection.NOT_GRANTED,
    reasons.PROJECTION_PENDING: conditions.Projection.PENDING,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One object as somebody may find it.

    Attributes:
        reason: What it is an example of.
        kind: Of the object.
        status: As the operator writes it.
        is_host_s: Whether it is an organization's that inherits what is wrong.
    """

    reason: reasons.Reason
    kind: str
    status: dict[str, typing.Any]
    is_host_s: bool = False

    @property
    def conditions(self) -> dict[str, dict[str, typing.Any]]:
        """Its conditions by type."""
        return {condition["type"]: condition for condition in self.status["conditions"]}

    @property
    def document(self) -> dict[str, typing.Any]:
        """The object as the API server returns it, as far as anybody who waits for it looks."""
        name = names.HOST_NAME if self.kind == _HOST else self.reason.name.lower()
        return document(self.kind, name=name, status=self.status)


def document(
    kind: str, *, name: str = "default", status: dict[str, typing.Any] | None, **metadata: typing.Any
) -> dict[str, typing.Any]:
    """Return an object with a status.

    Args:
        kind: Its kind.
        name: Its name.
        status: None for an object that has none.
        metadata: More of it; the generation is `GENERATION` by default.
    """
    inside = {} if kind == _HOST else {"namespace": "team-a"}
    found: dict[str, typing.Any] = {
        "apiVersion": names.API_VERSION,
        "kind": kind,
        "metadata": {"name": name, **inside, "generation": GENERATION, **metadata},
        "spec": {},
    }
    return found if status is None else {**found, "status": status}


def all_states() -> tuple[State, ...]:
    """Return states for every reason, in the order of the reasons."""
    found = [*_organizations(), *_hosts(), *_notifications()]
    return tuple(sorted(found, key=lambda state: reasons.ALL.index(state.reason)))


def _organizations() -> collections.abc.Iterator[State]:
    relay, own = tiers.RELAY, tiers.OWN
    elsewhere = {"smtp": own["smtp"], "from": own["from"]}
    anonymous = {**elsewhere, "auth": {"mechanism": "Anonymous"}}
    for reason in (reasons.ACCEPTED, reasons.RESOLVED, reasons.PUBLISHED):
        yield _org(reason, relay, {})
    yield _org(reasons.NO_REFERENCES, {"smtp": relay["smtp"], "from": relay["from"]}, {})
    yield _org(reasons.NOT_PUBLISHED, relay, {}, published=False)
    yield _org(reasons.SUSPENDED, relay, {"suspend": True})
    yield _org(reasons.WOULD_BLOCK, {**relay, "policy": _AUDIT}, {"from": {"displayName": "Team A"}})
    for reason, projection in _PROJECTIONS.items():
        yield _org(reason, relay, {"publish": True}, projection=projection)
    yield _org(reasons.INVALID, relay, {"smtp": {}})
    yield _org(reasons.HOST_MISSING, None, {})
    yield _org(reasons.HOST_INVALID, {"smtp": {}}, own)
    yield _org(reasons.NAMESPACE_NOT_ALLOWED, {**relay, "policy": _SELECTED}, {})
    yield _org(reasons.ENDPOINT_MISSING, {"from": relay["from"]}, {})
    yield _org(reasons.FROM_MISSING, {"smtp": relay["smtp"]}, {})
    yield _org(reasons.CREDENTIALS_REQUIRED, relay, elsewhere)
    yield _org(reasons.FROM_NOT_ALLOWED, relay, {"from": own["from"]})
    yield _org(reasons.HOST_ACCOUNT_NOT_ALLOWED, relay, {"auth": relay["auth"]})
    yield _org(reasons.ENDPOINT_NOT_ALLOWED, relay, {**own, "smtp": {"host": "smtp.example.org", "port": 26}})
    yield _org(reasons.ENDPOINT_DENIED, {**relay, "policy": _CLOSED}, own)
    yield _org(reasons.ANONYMOUS_NOT_ALLOWED, relay, anonymous)
    yield _org(reasons.PLAINTEXT_REFUSED, _CLEAR, {"auth": own["auth"]})
    yield _org(reasons.FIELD_LOCKED, {**relay, "policy": {"locked": ["suspend"]}}, {"suspend": False})
    domains = {"recipients": {"domains": ["example.com"]}}
    yield _org(reasons.RECIPIENT_NOT_ALLOWED, {**relay, "policy": domains}, {"notifications": _ELSEWHERE})
    yield _org(reasons.TOKEN_SERVER_NOT_ALLOWED, {**relay, "policy": _MAIL_ONLY}, tiers.OAUTH2)
    for reason, secret in _SECRET_READS.items():
        yield _org(reason, relay, own, secret=secret)
    for reason, ca in _CA_READS.items():
        yield _org(reason, relay, {**own, "smtp": _PRIVATE_CA}, ca=ca)
    yield _org(reasons.CLIENT_CERTIFICATE_INVALID, relay, {**own, "smtp": _CERTIFICATE}, certificate=_ENDED)
    shown = {**relay, "smtp": _CERTIFICATE}
    theirs = _org(reasons.CLIENT_CERTIFICATE_INVALID, shown, {}, certificate=_ENDED)
    yield dataclasses.replace(theirs, is_host_s=True)
    # What is wrong with the host's is Reconciling for an organization, whatever it is for the host.
    for reason, secret in _SECRET_READS.items():
        yield dataclasses.replace(_org(reason, relay, {}, secret=secret), is_host_s=True)
    closed = _org(reasons.ENDPOINT_NOT_ALLOWED, {**relay, "smtp": {"host": "127.0.0.1"}}, {})
    yield dataclasses.replace(closed, is_host_s=True)
    yield _org(reasons.REFERENCES_NOT_READ, {"smtp": {}}, own)
    yield _org(reasons.NOT_LINTED, {"smtp": {}}, own)
    yield _org(reasons.NO_FINDINGS, relay, own)
    for reason, change in _LINTED.items():
        yield _org(reason, relay, {**own, **change})
    yield _org(reasons.PROBE_PENDING, relay, own)
    yield _org(reasons.NOT_PROBED, relay, {"suspend": True})
    yield _org(reasons.NOT_PROBED, relay, elsewhere)
    for reason in _found_by_a_probe():
        yield _org(reason, relay, own, probed=True)


def _hosts() -> collections.abc.Iterator[State]:
    relay = tiers.RELAY
    for reason in (reasons.ACCEPTED, reasons.RESOLVED, reasons.PUBLISHED):
        yield _host(reason, relay)
    yield _host(reasons.NO_REFERENCES, {"smtp": relay["smtp"], "from": relay["from"]})
    yield _host(reasons.NOT_PUBLISHED, relay, published=False)
    yield _host(reasons.SUSPENDED, {**relay, "suspend": True})
    yield _host(reasons.INVALID, {"smtp": {}})
    yield _host(reasons.ENDPOINT_NOT_ALLOWED, {**relay, "smtp": {"host": "127.0.0.1"}})
    for reason, secret in _SECRET_READS.items():
        yield _host(reason, relay, secret=secret)
    for reason, ca in _CA_READS.items():
        yield _host(reason, {**relay, "smtp": _PRIVATE_CA}, ca=ca)
    yield _host(reasons.CLIENT_CERTIFICATE_INVALID, {**relay, "smtp": _CERTIFICATE}, certificate=_ENDED)
    yield _host(reasons.REFERENCES_NOT_READ, {"smtp": {}})
    yield _host(reasons.NOT_LINTED, {"smtp": {}})
    yield _host(reasons.NO_FINDINGS, relay)
    for reason, change in _LINTED.items():
        yield _host(reason, {**relay, **change})
    yield _host(reasons.PROBE_PENDING, relay)
    yield _host(reasons.NOT_PROBED, {**relay, "suspend": True})
    for reason in _found_by_a_probe():
        if reason in {reasons.HOST_RELAY, reasons.HOST_RELAY_UNKNOWN}:
            # The host's server is its own.
            continue
        yield _host(reason, relay, probed=True)


def _notifications() -> collections.abc.Iterator[State]:
    queued, accepted = vocabulary.RecipientState.QUEUED, vocabulary.RecipientState.ACCEPTED
    failed = vocabulary.RecipientState.FAILED
    yield _notification(reasons.QUEUED, _taken(queued))
    yield _notification(reasons.DELIVERING, _taken(queued, accepted))
    yield _notification(reasons.DELIVERED, _taken(accepted))
    yield _notification(reasons.PARTLY_FAILED, _taken(accepted, failed))
    yield _notification(reasons.FAILED, _taken(failed))
    yield _notification(reasons.REFUSED, feed.Refused(reason="OfAnotherVersion", message="it is too old", retry=False))
    yield _notification(reasons.SENDER_UNAVAILABLE, notification_status.Unavailable())
    yield _notification(reasons.INVALID, observed.Invalid(field="spec.category", message="is required"))
    for reason in (
        reasons.ORGANIZATION_UNKNOWN,
        reasons.CATEGORY_DISABLED,
        reasons.NO_RECIPIENTS,
        reasons.HTTPS_ONLY,
        reasons.QUOTA_EXCEEDED,
        reasons.STORAGE_FULL,
    ):
        retry = reason.progress == vocabulary.Progress.RECONCILING
        yield _notification(reason, feed.Refused(reason=reason.name, message=reason.meaning, retry=retry))


def _found_by_a_probe() -> collections.abc.Iterator[reasons.Reason]:
    """Yield the reasons that a probe may end with."""
    own = {reasons.PROBE_PENDING, reasons.NOT_PROBED}
    for reason in reasons.ALL:
        if vocabulary.Condition.VERIFIED in reason.conditions and reason not in own:
            yield reason


def _org(
    reason: reasons.Reason,
    host: tiers.Json | None,
    org: tiers.Json,
    *,
    published: bool = True,
    projection: conditions.Projection = conditions.Projection.NONE,
    probed: bool = False,
    secret: observed.SecretRead | None = None,
    certificate: observed.SecretRead | None = None,
    ca: observed.CaRead = tiers.CA,
) -> State:
    resolution = tiers.conclude(host, org, secret=secret, certificate=certificate, ca=ca)
    status = conditions.org_status(
        resolution,
        published=published,
        projection=projection,
        probe=_probe(resolution, reason) if probed else None,
        generation=GENERATION,
        previous=(),
        now=specs.NOW,
    )
    return State(reason=reason, kind=_ORG, status=status)


def _host(
    reason: reasons.Reason,
    host: tiers.Json,
    *,
    published: bool = True,
    probed: bool = False,
    secret: observed.SecretRead | None = None,
    certificate: observed.SecretRead | None = None,
    ca: observed.CaRead = tiers.CA,
) -> State:
    resolution = tiers.conclude_host(host, secret=secret, certificate=certificate, ca=ca)
    status = conditions.host_status(
        resolution,
        published=published,
        probe=_probe(resolution, reason) if probed else None,
        generation=GENERATION,
        previous=(),
        now=specs.NOW,
        summary=conditions.Summary(organizations=1, ready=1, blocked=0, overriding=0, would_block=0),
    )
    return State(reason=reason, kind=_HOST, status=status)


def _notification(reason: reasons.Reason, answer: notification_status.Answer) -> State:
    status = notification_status.status(answer, generation=GENERATION, previous=(), now=specs.NOW)
    return State(reason=reason, kind=_NOTIFICATION, status=status)


def _probe(resolution: resolve.Resolution, reason: reasons.Reason) -> feed.Probe:
    return feed.Probe(
        key=codec.probe_key(resolution.effective),
        secret_version="uid/1",
        reason=reason.name,
        stage=None if reason == reasons.VERIFIED else vocabulary.ProbeStage.TCP,
        owner_message=reason.meaning,
        tenant_message=reason.meaning,
        certificate_expires_at=None,
        probed_at=specs.NOW,
    )


def _taken(*recipients: vocabulary.RecipientState) -> feed.Taken:
    final = {vocabulary.RecipientState.ACCEPTED, vocabulary.RecipientState.FAILED}
    return feed.Taken(
        id="01",
        namespace="team-a",
        namespace_uid="uid",
        name="news",
        object_uid="uid",
        spec_hash="ab" * 32,
        accepted_at=specs.NOW,
        complete=set(recipients) <= final,
        recipients=tuple(
            feed.Recipient(
                address=f"r{number}@example.org",
                state=state,
                reason="RecipientRefused" if state == vocabulary.RecipientState.FAILED else "",
                changed_at=specs.NOW,
            )
            for number, state in enumerate(recipients)
        ),
    )
