"""The status: conditions with reasons, times that move only with the status, and nothing that is not the reader's."""

import dataclasses
import datetime as dt
from typing import Any

import pytest
from hypothesis import given

from kit import specs, tiers
from mailtier.api import feed, reasons, status, vocabulary
from mailtier.settings import codec, conditions, observed, resolve
from mailtier.settings.providers import postfix_dovecot

LATER = specs.NOW + dt.timedelta(hours=1)
Case = tuple[observed.Observed, observed.Reads]


def _probe(resolution: resolve.Resolution, reason: str = "Verified", **fields: Any) -> feed.Probe:
    defaults: dict[str, Any] = {
        "key": codec.probe_key(resolution.effective),
        "secret_version": "uid/1",
        "reason": reason,
        "stage": None,
        "owner_message": "smtp.example.org answered 535 5.7.8 to team",
        "tenant_message": "the server answered 535 5.7.8",
        "certificate_expires_at": dt.datetime(2026, 9, 1, tzinfo=dt.UTC),
        "probed_at": specs.NOW,
    }
    return feed.Probe(**{**defaults, **fields})


_HOST_FAULTS: dict[str, dict[str, Any]] = {
    "invalid": {"host": {"smtp": {}}},
    "no server": {"host": {key: value for key, value in tiers.RELAY.items() if key not in {"smtp", "auth"}}},
    "no sender": {"host": {key: value for key, value in tiers.RELAY.items() if key != "from"}},
    "nothing": {"host": {}},
    "server": {"host": {**tiers.RELAY, "smtp": {"host": "127.0.0.1"}}},
    "sender": {"host": {**tiers.RELAY, "from": {"address": "a@xn--a.example"}}},
    "recipient": {"host": {**tiers.RELAY, "notifications": {"jobAlert": {"recipients": ["ops@xn--a.example"]}}}},
    "unbound": {"host": tiers.RELAY, "annotation": "elsewhere.example"},
    "missing": {"host": tiers.RELAY, "outcome": observed.ReadOutcome.NOT_FOUND},
    "key": {
        "host": tiers.RELAY,
        "unfit": observed.SecretKey(purpose=observed.Purpose.PASSWORD, name="password"),
        "problem": "there is no such key",
    },
}


@pytest.mark.parametrize("fault", _HOST_FAULTS)
def test_a_fault_of_the_host_stalls_nobody_else(fault: str) -> None:
    """Every tenant's pipeline waits for the platform team, and none fails; the host's own status is what is Stalled."""
    read = {"outcome": observed.ReadOutcome.FOUND, "version": "uid/1", "annotation": "relay.example.com:587"}
    read |= {key: value for key, value in _HOST_FAULTS[fault].items() if key != "host"}
    secret = observed.SecretRead(**read)
    found = tiers.conclude(_HOST_FAULTS[fault]["host"], {}, secret=secret)
    types = {entry["type"]: entry for entry in _status(found)["conditions"]}
    assert types["Ready"]["status"] == "False"
    assert "Stalled" not in types
    assert types["Reconciling"]["reason"] == types["Ready"]["reason"]
    # Of the organization's own doing it would be Stalled, whatever is wrong with the host beside it.
    own = tiers.conclude(_HOST_FAULTS[fault]["host"], {"smtp": {}}, secret=secret)
    both = {entry["type"] for entry in _status(own)["conditions"]}
    assert "Stalled" in both


def _status(
    resolution: resolve.Resolution,
    *,
    published: bool = True,
    projection: conditions.Projection = conditions.Projection.NONE,
    probe: feed.Probe | None = None,
    previous: list[dict[str, Any]] | None = None,
    now: dt.datetime = specs.NOW,
) -> dict[str, Any]:
    return conditions.org_status(
        resolution,
        published=published,
        projection=projection,
        probe=probe,
        generation=3,
        previous=previous or [],
        now=now,
    )


def _summed(document: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {entry["type"]: (entry["status"], entry["reason"]) for entry in document["conditions"]}


def _message(document: dict[str, Any], type_: str) -> str:
    (message,) = (entry["message"] for entry in document["conditions"] if entry["type"] == type_)
    return str(message)


def test_all_is_well() -> None:
    """Valid, allowed, bound, published, nothing to remark: five conditions, and neither Reconciling nor Stalled."""
    resolution = tiers.conclude(tiers.RELAY, tiers.OWN)
    document = _status(resolution, probe=_probe(resolution))
    assert document["observedGeneration"] == 3
    assert (document["state"], document["source"]) == ("Active", "Org")
    assert _summed(document) == {
        "Accepted": ("True", "Accepted"),
        "ResolvedRefs": ("True", "Resolved"),
        "Ready": ("True", "Published"),
        "Verified": ("True", "Verified"),
        "Linted": ("True", "NoFindings"),
    }
    assert _message(document, "Verified").endswith("The server's certificate is valid until 2026-09-01.")


@given(case=specs.cases())
def test_every_status_fits_the_schema(case: Case) -> None:
    """What is written is what the CRD takes, with a generation and a time on each condition."""
    situation, reads = case
    resolution = resolve.conclude(resolve.plan(situation), reads)
    document = _status(resolution, published=False)
    status.OrgStatus.model_validate(document)
    assert all(entry["observedGeneration"] == 3 for entry in document["conditions"])
    assert all(entry["reason"] in reasons.BY_NAME for entry in document["conditions"])
    assert all(entry["message"].endswith((".", "`")) for entry in document["conditions"])


@given(case=specs.cases())
def test_what_is_not_ready_says_whether_it_mends_itself(case: Case) -> None:
    """Ready is never Unknown; while it is False, either Reconciling or Stalled is True (kstatus)."""
    situation, reads = case
    resolution = resolve.conclude(resolve.plan(situation), reads)
    for published in (True, False):
        summed = _summed(_status(resolution, published=published))
        progress = {"Reconciling", "Stalled"} & summed.keys()
        assert summed["Ready"][0] == ("True" if published and not resolution.effective.findings else "False")
        assert len(progress) == (summed["Ready"][0] == "False")
        assert all(summed[type_][0] == "True" for type_ in progress)
        # What names no field is the platform team's to mend, but for a namespace that it does not want; and what both
        # tiers lack was left to the host.
        needs_somebody = any(
            finding.reason.progress is vocabulary.Progress.STALLED
            and (finding.field or finding.reason == reasons.NAMESPACE_NOT_ALLOWED)
            for finding in resolution.effective.findings
        )
        # And no field is named in which the organization would find a value of the host's.
        # A locked one is in the object, and to be removed from it.
        named = {
            finding.field.removeprefix("spec.")
            for finding in resolution.effective.findings
            if finding.reason != reasons.FIELD_LOCKED
        }
        inherited = {
            path for path, origin in resolution.effective.provenance.items() if origin is vocabulary.Origin.HOST
        }
        assert not named & inherited
        assert ("Stalled" in progress) == needs_somebody


def test_a_time_moves_only_with_the_status() -> None:
    """A new reason under the same status keeps its time; a new status takes the present one."""
    blocked = _status(tiers.conclude(tiers.RELAY, {"from": {"address": "x@example.net"}}))
    other = tiers.conclude(tiers.RELAY, {"smtp": {"host": "smtp.example.org"}})
    still = _status(other, previous=blocked["conditions"], now=LATER)
    steady = [entry for entry in still["conditions"] if entry["type"] not in {"ResolvedRefs", "Linted"}]
    assert {entry["lastTransitionTime"] for entry in steady} == {"2026-01-02T03:04:05Z"}
    well = tiers.conclude(tiers.RELAY, {})
    mended = _status(well, probe=_probe(well), previous=still["conditions"], now=LATER)
    times = {entry["type"]: entry["lastTransitionTime"] for entry in mended["conditions"]}
    assert times["Ready"] == times["Accepted"] == "2026-01-02T04:04:05Z"
    assert times["ResolvedRefs"] == "2026-01-02T03:04:05Z"
    assert "Stalled" not in times


def test_a_steady_state_is_written_the_same() -> None:
    """The same input at another time gives the very same document (R8)."""
    resolution = tiers.conclude(tiers.RELAY, {})
    first = _status(resolution, probe=_probe(resolution))
    assert _status(resolution, probe=_probe(resolution), previous=first["conditions"], now=LATER) == first


def test_one_finding_gives_the_reason_and_the_message_tells_all() -> None:
    """The first finding's reason is the condition's; the others are named in the message."""
    document = _status(tiers.conclude({}, {"smtp": {"host": "smtp.example.org", "port": 26}}))
    summed = _summed(document)
    assert summed["Accepted"] == summed["Ready"] == ("False", "EndpointNotAllowed")
    assert summed["Stalled"] == ("True", "EndpointNotAllowed")
    message = _message(document, "Accepted")
    assert message.startswith("spec.smtp.host: smtp.example.org:26 is not allowed;")
    assert "Also CredentialsRequired: spec.auth: is absent" in message
    assert "Also FromMissing: spec.from.address:" in message


def test_what_needs_somebody_outweighs_what_may_come() -> None:
    """A missing host may be on its way, but an unbound Secret is not mended by waiting."""
    org = {name: group for name, group in tiers.OWN.items() if name != "from"}
    unbound = observed.SecretRead(outcome=observed.ReadOutcome.FOUND, version="uid/1")
    summed = _summed(_status(tiers.conclude(None, org, secret=unbound)))
    assert summed["Ready"] == ("False", "HostSettingsMissing")
    assert summed["ResolvedRefs"] == ("False", "SecretNotBound")
    assert summed["Stalled"] == ("True", "SecretNotBound")
    missing = observed.SecretRead(outcome=observed.ReadOutcome.NOT_FOUND)
    summed = _summed(_status(tiers.conclude(None, org, secret=missing)))
    assert summed["Reconciling"] == ("True", "HostSettingsMissing")


def test_an_unbound_secret_is_told_with_the_command() -> None:
    """Whoever reads the status can paste the line that mends it."""
    unbound = observed.SecretRead(outcome=observed.ReadOutcome.FOUND, version="uid/1")
    document = _status(tiers.conclude(tiers.RELAY, tiers.OWN, secret=unbound))
    command = "kubectl annotate secret -n team-a smtp 'mailtier.dev/endpoint=smtp.example.org:587' --overwrite"
    for type_ in ("ResolvedRefs", "Ready", "Stalled"):
        assert command in _message(document, type_)


def test_what_was_not_published_is_not_ready() -> None:
    """Until the sender can know the settings, whoever waits goes on waiting."""
    summed = _summed(_status(tiers.conclude(tiers.RELAY, {}), published=False))
    assert summed["Ready"] == ("False", "NotPublished")
    assert summed["Reconciling"] == ("True", "NotPublished")
    assert summed["Accepted"][0] == "True"


def test_a_suspension_is_ready_and_says_so() -> None:
    """Suspended settings are as they should be; nothing is probed meanwhile."""
    summed = _summed(_status(tiers.conclude(tiers.RELAY, {"suspend": True})))
    assert summed["Ready"] == ("True", "Suspended")
    assert summed["Verified"] == ("Unknown", "NotProbed")


def test_nothing_is_said_of_references_that_were_not_read() -> None:
    """Where the host's policy is unknown, the organization's Secret is not looked at."""
    summed = _summed(_status(tiers.conclude({"smtp": {}}, tiers.OWN)))
    assert summed["ResolvedRefs"] == ("Unknown", "NotRead")
    assert summed["Accepted"] == ("False", "HostSettingsInvalid")


def test_without_references_there_is_nothing_to_resolve() -> None:
    """An anonymous server verified against the public CAs refers to nothing."""
    host = {name: group for name, group in tiers.RELAY.items() if name != "auth"}
    assert _summed(_status(tiers.conclude(host, {})))["ResolvedRefs"] == ("True", "NoReferences")


@pytest.mark.parametrize("fields", [{"key": "other"}, {"secret_version": "uid/0"}, {"secret_version": ""}])
def test_a_probe_of_something_else_says_nothing(fields: dict[str, str]) -> None:
    """Only a probe of these settings with this version of the Secret counts."""
    resolution = tiers.conclude(tiers.RELAY, {})
    assert _summed(_status(resolution))["Verified"] == ("Unknown", "ProbePending")
    summed = _summed(_status(resolution, probe=_probe(resolution, **fields)))
    assert summed["Verified"] == ("Unknown", "ProbePending")
    assert summed["Ready"][0] == "True"


@pytest.mark.parametrize("fields", [{}, {"secret_version": "uid/0"}, {"reason": "ProbePending"}])
def test_when_the_next_probe_may_begin_is_told(fields: dict[str, str]) -> None:
    """Whoever mends a server reads until when the namespace's next probe has to wait, rounded up; nobody else."""
    resolution = tiers.conclude(tiers.RELAY, tiers.OWN)
    next_at = dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
    fields = {"reason": "AuthFailed", **fields}
    message = _message(_status(resolution, probe=_probe(resolution, next_at=next_at, **fields)), "Verified")
    assert message.endswith(" The namespace's next probe may begin at 03:04:06 UTC.")
    assert "next probe" not in _message(_status(resolution, probe=_probe(resolution, **fields)), "Verified")


def test_a_probe_that_waits_is_neither_good_nor_bad() -> None:
    """That a probe has to wait leaves Verified unknown, whatever version of the Secret it waits with."""
    resolution = tiers.conclude(tiers.RELAY, tiers.OWN)
    status = _status(resolution, probe=_probe(resolution, "ProbePending"))
    assert _summed(status)["Verified"] == ("Unknown", "ProbePending")


def test_a_failed_probe_tells_the_owner_everything() -> None:
    """Who owns the server reads what it said, and what to do; Ready stays True."""
    resolution = tiers.conclude(tiers.RELAY, tiers.OWN)
    probe = _probe(resolution, "AuthFailed", stage=vocabulary.ProbeStage.AUTH)
    document = _status(resolution, probe=probe)
    assert _summed(document)["Verified"] == ("False", "AuthFailed")
    assert _summed(document)["Ready"] == ("True", "Published")
    assert _message(document, "Verified") == (
        "smtp.example.org answered 535 5.7.8 to team. " + reasons.AUTH_FAILED.remedy
    )


@pytest.mark.parametrize(
    ("reason", "remedies"), [(reasons.CLIENT_NAME_REFUSED, 1), (reasons.AUTH_FAILED, 2)], ids=["name", "login"]
)
def test_a_provider_s_remedy_stands_for_the_reason_s(reason: reasons.Reason, remedies: int) -> None:
    """What to do is said once, by what is known of the server; beside it stands only when a login is tried again."""
    (advice,) = {error.remedy for error in postfix_dovecot.PROVIDER.errors if "heloName" in error.remedy}
    resolution = tiers.conclude(tiers.RELAY, tiers.OWN)
    probe = _probe(resolution, reason.name, owner_message=f"It answered 504 5.5.2. {advice} A delivery was told so.")
    message = _message(_status(resolution, probe=probe), "Verified")
    assert (advice in message) + (reason.remedy in message) == remedies


@pytest.mark.parametrize(
    ("org", "stage", "remedy"),
    [
        ({}, vocabulary.ProbeStage.AUTH, "The platform team finds more"),
        ({"auth": tiers.OWN["auth"]}, vocabulary.ProbeStage.AUTH, reasons.AUTH_FAILED.remedy),
        ({"auth": tiers.OWN["auth"]}, vocabulary.ProbeStage.TLS, "The platform team finds more"),
    ],
)
def test_a_failed_probe_of_the_host_s_server_tells_a_tenant_codes(
    org: tiers.Json, stage: vocabulary.ProbeStage, remedy: str
) -> None:
    """R7: neither username nor certificate of the host's; the remedy is for whoever can apply it."""
    resolution = tiers.conclude(tiers.RELAY, org)
    message = _message(_status(resolution, probe=_probe(resolution, "AuthFailed", stage=stage)), "Verified")
    assert message.startswith(f"the server answered 535 5.7.8. {remedy}")
    good = _message(_status(resolution, probe=_probe(resolution)), "Verified")
    assert good == "the server answered 535 5.7.8."


def test_the_host_s_own_status() -> None:
    """The platform team sees username, Secret, certificate, its organizations in numbers, and a queue that is held."""
    resolution = tiers.conclude_host(tiers.RELAY)
    summary = conditions.Summary(organizations=4, ready=3, blocked=1, overriding=2, would_block=0)
    document = conditions.host_status(
        resolution,
        published=True,
        probe=_probe(resolution),
        generation=7,
        previous=[],
        now=specs.NOW,
        summary=summary,
        queue=conditions.queue(restored_from=specs.NOW),
    )
    assert status.HostStatus.model_validate(document).queue == status.QueueStatus.model_validate(
        {"restoredFrom": specs.NOW}
    )
    assert document["summary"] == {"organizations": 4, "ready": 3, "blocked": 1, "overriding": 2, "wouldBlock": 0}
    assert document["effective"]["auth"] == {"mechanism": "PLAIN", "username": "relay", "secretName": "relay"}
    assert document["effective"]["provenance"]["smtp.host"] == "Host"
    assert "certificate" in _message(document, "Verified")


def test_an_inherited_endpoint_shows_neither_username_nor_secret() -> None:
    """R7: an organization sees the server it uses, and not with whose account."""
    shown = _status(tiers.conclude(tiers.RELAY, {}))["effective"]
    assert shown["smtp"]["host"] == "relay.example.com"
    assert shown["auth"] == {"mechanism": "PLAIN"}
    assert not [path for path in shown["provenance"] if path.startswith("auth.") and path != "auth.mechanism"]
    mine = _status(tiers.conclude(tiers.RELAY, {"auth": tiers.OWN["auth"]}))["effective"]
    assert mine["auth"] == {"mechanism": "PLAIN", "secretName": "smtp"}
    assert mine["provenance"]["auth.passwordSecretRef"] == "Org"


def test_a_long_message_is_cut() -> None:
    """The apiserver takes 32768 characters."""
    resolution = tiers.conclude(
        tiers.RELAY, tiers.OWN, secret=observed.SecretRead(outcome=observed.ReadOutcome.NOT_FOUND)
    )
    (finding,) = resolution.effective.findings
    told = dataclasses.replace(finding, message="x" * 40_000)
    long = dataclasses.replace(resolution, effective=dataclasses.replace(resolution.effective, findings=(told,)))
    assert len(_message(_status(long), "ResolvedRefs")) == 32768


def test_conditions_can_be_read_as_lines() -> None:
    """An organization without an object has its conditions as text."""
    lines = conditions.as_text(_status(tiers.conclude(tiers.RELAY, {}))["conditions"]).splitlines()
    assert lines[0] == "Accepted=True Accepted: The settings are valid and the policy allows them."
    assert len(lines) == 5


@pytest.mark.parametrize(
    ("projection", "ready", "progress"),
    [
        (conditions.Projection.NONE, ("True", "Published"), set()),
        (conditions.Projection.WRITTEN, ("True", "Published"), set()),
        (conditions.Projection.PENDING, ("False", "ProjectionPending"), {"Reconciling"}),
        (conditions.Projection.CONFLICT, ("False", "ConfigMapConflict"), {"Stalled"}),
        (conditions.Projection.NOT_GRANTED, ("False", "ProjectionNotGranted"), {"Stalled"}),
    ],
)
def test_what_applications_read_belongs_to_ready(
    projection: conditions.Projection, ready: tuple[str, str], progress: set[str]
) -> None:
    """An organization that asks for a projection is ready when it is written; what is in the way is named."""
    document = _status(tiers.conclude(tiers.RELAY, {"publish": True}), projection=projection)
    found = _summed(document)
    assert found["Ready"] == ready
    assert found.keys() & {"Reconciling", "Stalled"} == progress
    assert document.get("projection") == ("mailtier-default" if projection is conditions.Projection.WRITTEN else None)
    if ready[0] == "False":
        assert _message(document, "Ready").startswith("ConfigMap team-a/mailtier-default: ")


def test_audit_leaves_accepted_true_and_tells() -> None:
    """What Enforce would block is in Accepted's message, and the settings are used."""
    host = {**tiers.RELAY, "policy": {"mode": "Audit", "locked": ["from.displayName"]}}
    document = _status(tiers.conclude(host, {"from": {"displayName": "Team", "address": "x@elsewhere.example"}}))
    assert document["state"] == "Active"
    assert _summed(document)["Accepted"] == ("True", "WouldBlock")
    told = _message(document, "Accepted")
    assert "spec.from.displayName: is locked" in told
    assert "Also FromNotAllowed: spec.from.address" in told
    assert "Stalled" not in _summed(document)
