"""What the host keeps for itself, whom organizations may write to, how much they may send, and mode Audit."""

from typing import Any

import pytest

from kit import tiers
from mailtier.api import vocabulary
from mailtier.settings import effective, observed


@pytest.mark.parametrize(
    ("locked", "org", "field"),
    [
        (["smtp"], tiers.OWN, "spec.smtp"),
        (["from"], {"from": {"displayName": "Team"}}, "spec.from"),
        (["from.displayName"], {"from": {"displayName": "Team"}}, "spec.from.displayName"),
        (["delivery.ratePerMinute"], {"delivery": {"ratePerMinute": 5}}, "spec.delivery.ratePerMinute"),
        (
            ["notifications.jobAlert"],
            {"notifications": {"jobAlert": {"recipients": []}}},
            "spec.notifications.jobAlert",
        ),
        (["suspend"], {"suspend": False}, "spec.suspend"),
        (["publish"], {"publish": True}, "spec.publish"),
        (["from.address"], {"from": {"displayName": "Team"}}, None),
        (["smtp"], {}, None),
    ],
)
def test_a_locked_field_is_the_host_s(locked: list[str], org: dict[str, Any], field: str | None) -> None:
    """An organization that sets what is locked is blocked, and told which field to remove."""
    found = tiers.findings({**tiers.RELAY, "policy": {"locked": locked}}, org)
    assert found == ([] if field is None else [("FieldLocked", field)])


def test_all_locked_fields_are_named_at_once() -> None:
    """Whoever removes one field is not told of the next one afterwards."""
    host = {**tiers.RELAY, "policy": {"locked": ["suspend", "from.displayName"]}}
    (finding,) = tiers.settle(host, {"suspend": True, "from": {"displayName": "T"}}).findings
    assert finding.field == "spec.from.displayName"
    assert finding.message.endswith("the same holds for spec.suspend")


@pytest.mark.parametrize(
    ("domains", "recipients", "allowed"),
    [
        (["example.org"], ["a@example.org"], True),
        (["Example.ORG"], ["a@EXAMPLE.org"], True),
        (["example.org"], ["a@sub.example.org"], False),
        (["*.example.org"], ["a@sub.example.org"], True),
        (["*.example.org"], ["a@example.org"], False),
        (["*.example.org"], ["a@evilexample.org"], False),
        (["example.org", "example.net"], ["a@example.org", "b@elsewhere.example"], False),
        ([], ["a@example.org"], False),
        ([], [], True),
        (["*"], ["a@anywhere.example"], True),
    ],
)
def test_recipients_are_in_the_domains_that_the_host_lists(
    domains: list[str], recipients: list[str], allowed: bool
) -> None:
    """A category's recipient elsewhere blocks; the message names it and what is allowed."""
    host = {**tiers.RELAY, "policy": {"recipients": {"domains": domains}}}
    found = tiers.findings(host, {"notifications": {"jobAlert": {"recipients": recipients}}})
    assert found == ([] if allowed else [("RecipientNotAllowed", "spec.notifications.jobAlert.recipients")])


def test_a_domain_of_other_letters_is_judged_by_its_a_label() -> None:
    """What the policy lists as an A-label is written to under either spelling, and sent in ASCII (R3)."""
    host = {**tiers.RELAY, "policy": {"recipients": {"domains": ["xn--mller-kva.example"]}}}
    for domain in ("müller.example", "MÜLLER.example", "xn--mller-kva.example"):
        org = {"notifications": {"jobAlert": {"recipients": [f"user@{domain}"]}}}
        assert tiers.findings(host, org) == []
        (recipients,) = {found.recipients for found in tiers.settle(host, org).notifications.values()} - {()}
        assert recipients == ("user@xn--mller-kva.example",)
    assert tiers.findings(host, {"notifications": {"jobAlert": {"recipients": ["user@muller.example"]}}}) != []


def test_a_recipient_that_cannot_be_written_is_told() -> None:
    """A domain that is no valid name even so is refused with the reason, before a message fails over it."""
    org = {**tiers.OWN, "notifications": {"jobAlert": {"recipients": ["user@☃.example"]}}}
    assert tiers.findings(None, org) == [("Invalid", "spec.notifications.jobAlert.recipients[0]")]


def test_the_host_s_own_recipients_are_its_own_choice() -> None:
    """What the host lists as recipients of everybody is not held against an organization."""
    host = {
        **tiers.RELAY,
        "notifications": {"jobAlert": {"recipients": ["ops@elsewhere.example"]}},
        "policy": {"recipients": {"domains": ["example.org"]}},
    }
    assert tiers.findings(host, {}) == []


@pytest.mark.parametrize(
    ("host", "port", "state"),
    [
        ("smtp.elsewhere.example", 587, "Active"),
        ("denied.example.net", 587, "Active"),
        ("smtp.elsewhere.example", 26, "Blocked"),
        ("10.0.0.1", 587, "Blocked"),
        ("169.254.169.254", 587, "Blocked"),
    ],
)
def test_audit_opens_nothing_that_is_not_public(host: str, port: int, state: str) -> None:
    """R6: in mode Audit the lists are only told, and what is closed without any list stays closed."""
    policy = {
        "mode": "Audit",
        "endpoints": {"allow": [{"host": "*.example.com"}], "deny": [{"host": "denied.example.net"}]},
    }
    org = {**tiers.OWN, "smtp": {"host": host, "port": port}}
    found = tiers.settle({**tiers.RELAY, "policy": policy}, org)
    assert found.state.value == state
    assert bool(found.audited) is (state == "Active")


def test_audit_lets_no_password_go() -> None:
    """Binding, missing credentials and plaintext block in every mode (R2, R3)."""
    host = {**tiers.RELAY, "policy": {"mode": "Audit"}}
    assert tiers.findings(host, {"smtp": {"host": "smtp.example.org"}}) == [("CredentialsRequired", "spec.auth")]
    unbound = observed.SecretRead(outcome=observed.ReadOutcome.FOUND, version="uid/1")
    found = tiers.conclude(host, tiers.OWN, secret=unbound).effective
    assert [finding.reason.name for finding in found.findings] == ["SecretNotBound"]


def test_audit_reads_and_judges_an_object_in_a_namespace_that_is_not_selected() -> None:
    """The namespace is told, and so is everything else that is wrong."""
    selector = {"mode": "Selector", "selector": {"matchLabels": {"mail": "on"}}}
    host = {**tiers.RELAY, "policy": {"mode": "Audit", "organizations": selector, "locked": ["suspend"]}}
    found = tiers.settle(host, {"suspend": False})
    assert found.state is effective.State.ACTIVE
    assert [finding.reason.name for finding in found.audited] == ["NamespaceNotAllowed", "FieldLocked"]


def test_a_quota_is_the_host_s_and_draws_on_no_tier() -> None:
    """What the host says of quota reaches every organization, and does not make its settings mixed."""
    quota = {"queuedMessages": 10, "queuedBytes": "64Mi", "ratePerMinute": 60}
    found = tiers.settle({**tiers.RELAY, "policy": {"quota": quota}}, tiers.OWN)
    assert found.quota == effective.Quota(queued_messages=10, queued_bytes=64 * 1024 * 1024, rate_per_minute=60)
    assert found.source is vocabulary.Source.ORG
    assert found.provenance["quota.ratePerMinute"] is vocabulary.Origin.HOST
