"""An explanation says of every value where it came from, which rule made it so, and what removing it would do."""

import dataclasses
import json

import hypothesis
import pytest

from kit import offline, specs
from mailtier.cli import terminal
from mailtier.cli.offline import values
from mailtier.cli.offline.explanation import explaining, narrating
from mailtier.settings import effective

_KEY = effective.OrganizationKey(namespace="acme", name="default")
_OWN: offline.Json = {
    "smtp": {"host": "smtp.acme.example"},
    "auth": {"username": "a", "passwordSecretRef": {"name": "s"}},
    "from": {"address": "a@acme.example"},
    "delivery": {"heloName": "mail.acme.example", "ratePerMinute": 5},
}


def _explain(org: offline.Json, **host: object) -> explaining.Explanation:
    return explaining.organization(offline.judge(offline.host(**host), offline.org("acme", **org)), _KEY)


def _row(explanation: explaining.Explanation, path: str) -> explaining.ExplainedValue:
    (row,) = [row for row in explanation.rows if row.path == path]
    return row


def test_override_falls_back_to_the_host_when_it_is_removed() -> None:
    """Without the override the host's value would be there, and the finding with it gone."""
    explanation = _explain({"from": {"address": "ceo@example.com", "displayName": "Acme"}})
    row = _row(explanation, "from.address")
    assert (str(row.value), row.changed_by) == ("ceo@example.com (Org)", "organization")
    assert row.findings[0].startswith("FromNotAllowed: spec.from.address: ceo@example.com may not be used")
    without = explanation.without["from.address"]
    assert without.removed == ("spec.from.address",)
    assert str(without.value["from.address"]) == "no-reply@example.com (Host)"
    assert without.difference is not None
    assert without.difference.states == ("Blocked", "Active")
    assert len(without.difference.gone) == 1
    assert sorted(explanation.without) == ["from.address", "from.displayName"]


@pytest.mark.parametrize(
    ("state", "org", "said"),
    [
        ("Active", {"from": {"displayName": "Acme"}}, "Without spec.from.displayName: Active\n"),
        ("Unresolved", _OWN, "Without spec.auth: Unresolved -> Blocked\n"),
        (
            "Unresolved",
            {"from": {"displayName": "Acme"}},
            "Without spec.from.displayName: Unresolved -> Active, if what it refers to then can be used\n",
        ),
    ],
)
def test_what_would_be_begins_at_what_is(state: str, org: offline.Json, said: str) -> None:
    """What an operator found in Secrets is known as the state; how it would be without an override is not."""
    explanation = dataclasses.replace(_explain(org), state=state)
    told = narrating.as_text(
        explanation,
        explanation.rows,
        detailed=True,
        places={},
        painter=terminal.Painter(on=False),
        width=80,
        line_width=None,
    )
    assert said in list(told)


def test_atomic_group_is_removed_as_a_whole() -> None:
    """`smtp` goes with what belongs to the owner of the endpoint; credentials of one's own would stay."""
    explanation = _explain(_OWN)
    assert _row(explanation, "smtp.host").override == "smtp"
    assert "nothing of the host's smtp is inherited" in _row(explanation, "smtp.port").notes[0]
    assert _row(explanation, "smtp.addresses").changed_by == "platform team"
    without = explanation.without["smtp"]
    assert without.removed == ("spec.smtp", "spec.delivery.heloName")
    assert str(without.value["smtp.host"]) == "relay.example.com (Host)"
    assert str(without.value["auth.username"]) == "a (Org)"


def test_limit_above_the_hosts_is_explained() -> None:
    """A value that is not the organization's although it set one says why."""
    explanation = _explain({"delivery": {"ratePerMinute": 100}}, delivery={"ratePerMinute": 60})
    row = _row(explanation, "delivery.ratePerMinute")
    assert str(row.value) == "60 (Host)"
    assert "the organization's 100 is above the host's limit" in row.notes[0]


def test_locked_field_is_the_platform_teams() -> None:
    """What the host's policy locks can be changed by nobody else."""
    explanation = _explain({"from": {"displayName": "Acme"}}, policy={"locked": ["from.displayName", "notifications"]})
    row = _row(explanation, "from.displayName")
    assert row.changed_by == "platform team (locked)"
    assert row.findings[0].startswith("FieldLocked")
    assert _row(explanation, "notifications.jobAlert.enabled").changed_by == "platform team (locked)"
    assert _row(explanation, "from.replyTo").changed_by == "organization"


def test_what_belongs_to_the_endpoint_is_its_owners() -> None:
    """On an inherited endpoint an organization cannot change its connections, on its own it can."""
    assert _row(_explain({}), "delivery.maxConnections").changed_by == "platform team"
    assert _row(_explain(_OWN), "delivery.maxConnections").changed_by == "organization"


def test_hosts_suspension_cannot_be_overridden() -> None:
    """An organization that says false is held all the same, and told why."""
    row = _row(_explain({"suspend": False}, suspend=True), "suspend")
    assert (str(row.value), row.changed_by) == ("true (Host)", "platform team")
    assert row.notes == ("the host's suspend: true holds everybody",)


@pytest.mark.parametrize(
    ("wanted", "paths"),
    [
        ("from.address", ["from.address"]),
        ("spec.from.address", ["from.address"]),
        (
            "SMTP.TLS",
            [
                *("smtp.tls.mode", "smtp.tls.minVersion", "smtp.tls.serverName", "smtp.tls.caRef"),
                "smtp.tls.clientCertificateRef",
            ],
        ),
        ("status.effective.suspend", ["suspend"]),
        ("from.addr", []),
        ("port", []),
    ],
)
def test_fields_are_chosen_by_whole_names(wanted: str, paths: list[str]) -> None:
    """A group stands for all that is in it; a part of a name does not."""
    explanation = _explain({})
    assert [row.path for row in explaining.select(explanation, wanted)] == paths
    if paths:
        assert wanted.lower().removeprefix("spec.").removeprefix("status.effective.") in map(
            str.lower, explaining.fields(explanation)
        )


def test_hosts_own_settings_are_explained() -> None:
    """The host has nothing to fall back to, and everything is the platform team's."""
    resolution = offline.judge(offline.host()).host()
    assert resolution is not None
    explanation = explaining.host(resolution)
    assert explanation.without == {}
    assert {row.changed_by for row in explanation.rows} == {"platform team"}


def test_status_alone_tells_values_and_origins() -> None:
    """Whoever may not read the host's settings sees what the operator wrote into the object."""
    status = {
        "state": "Active",
        "effective": {
            "smtp": {"host": "relay.example.com", "port": 587},
            "auth": {"mechanism": "PLAIN", "secretName": "s"},
            "provenance": {"smtp.host": "Host", "smtp.port": "Default", "auth.passwordSecretRef": "Org"},
        },
    }
    explanation = explaining.from_status("acme/default", status)
    shown = {row.path: str(row.value) for row in explanation.rows}
    assert shown["smtp.host"] == "relay.example.com (Host)"
    assert shown["auth.passwordSecretRef.name"] == "s (Org)"


@hypothesis.given(host=specs.host_documents(), org=specs.org_documents())
def test_every_override_can_be_removed(host: offline.Json, org: offline.Json) -> None:
    """Whatever an organization overrides, what is left is a spec that the API takes, and nothing of it is its own."""
    # What cannot be used stays so elsewhere, and a fault of the host's shows where an override hid it.
    hypothesis.assume(specs.UNUSABLE_ADDRESS not in json.dumps([host, org]))
    document = offline.host()
    document["spec"] = host
    judge = offline.judge(document, offline.org("acme", **org))
    explanation = explaining.organization(judge, _KEY)
    own = {row.override for row in explanation.rows if row.value.is_own}
    assert own == set(explanation.without)
    for override, without in explanation.without.items():
        left = [path for path, value in without.value.items() if f"{path}.".startswith(f"{override}.") and value.is_own]
        assert left == []
        assert all(
            "Invalid" not in line.partition(":")[0] for line in (without.difference.new if without.difference else ())
        )
    assert [row.path for row in explanation.rows] == list(values.of(judge.organization(_KEY).effective))


def test_a_login_of_ones_own_goes_without_the_host_s_certificate() -> None:
    """That the certificate is not shown, and why, is said where its value would stand."""
    shown = {"smtp": {"host": "relay.example.com", "tls": {"clientCertificateRef": {"name": "relay-client"}}}}
    inherited = _row(_explain({}, **shown), "smtp.tls.clientCertificateRef.name")
    assert str(inherited.value) == "relay-client (Host)"
    own = _row(_explain({"auth": _OWN["auth"]}, **shown), "smtp.tls.clientCertificateRef")
    assert own.value.shown == "(none)"
    assert "the host's client certificate is shown with the host's auth alone, and the organization has its own" in (
        own.notes
    )
