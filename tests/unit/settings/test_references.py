"""What is wrong with a Secret or a CA bundle, and the command that mends it (rule 4)."""

from typing import Any

import pytest

from kit import specs, tiers
from mailtier.settings import effective, observed, resolve

FOUND = observed.ReadOutcome.FOUND
BUNDLE: dict[str, Any] = {"tls": {"caRef": {"kind": "ConfigMap", "name": "ca"}}}


@pytest.mark.parametrize(
    ("read", "reason", "part"),
    [
        (
            observed.SecretRead(outcome=observed.ReadOutcome.NOT_FOUND),
            "SecretNotFound",
            (
                "`kubectl create secret generic -n team-a smtp --from-literal=password='PASSWORD'` and bind it to the"
                " endpoint with `kubectl annotate secret -n team-a smtp 'mailtier.dev/endpoint=smtp.example.org:587'"
                " --overwrite`"
            ),
        ),
        (
            observed.SecretRead(outcome=observed.ReadOutcome.FORBIDDEN),
            "NamespaceNotGranted",
            (
                "`kubectl create rolebinding mailtier-references -n team-a --clusterrole=RELEASE-references"
                " --serviceaccount=RELEASE_NAMESPACE:RELEASE`"
            ),
        ),
        (observed.SecretRead(outcome=observed.ReadOutcome.UNAVAILABLE), "ApiUnavailable", "tries again"),
        (
            observed.SecretRead(outcome=FOUND, version="u/1", annotation="other.example.org"),
            "SecretNotBound",
            (
                "`kubectl annotate secret -n team-a smtp"
                " 'mailtier.dev/endpoint=other.example.org,smtp.example.org:587' --overwrite`"
            ),
        ),
        (observed.SecretRead(outcome=FOUND, version="u/1"), "SecretNotBound", "does not list smtp.example.org:587"),
        (
            observed.SecretRead(
                outcome=FOUND,
                version="u/1",
                annotation="smtp.example.org",
                unfit=specs.PASSWORD,
                problem="the value is empty",
            ),
            "SecretKeyMissing",
            (
                "Secret team-a/smtp, key password: the value is empty. Put the password under this key with `kubectl"
                """ patch secret -n team-a smtp -p '{"stringData":{"password":"PASSWORD"}}'`, or name another key"""
            ),
        ),
    ],
)
def test_an_own_secret_that_cannot_be_used(read: observed.SecretRead, reason: str, part: str) -> None:
    """The organization is told which Secret, what is wrong, and the command to run."""
    found = tiers.conclude(tiers.RELAY, tiers.OWN, secret=read).effective
    assert found.state is effective.State.UNRESOLVED
    assert [finding.reason.name for finding in found.findings] == [reason]
    assert part in found.findings[0].message
    assert found.auth is not None
    assert found.auth.secret is not None
    assert found.auth.secret.version == ""


@pytest.mark.parametrize("outcome", list(observed.ReadOutcome))
def test_the_host_s_secret_is_not_named_to_an_organization(outcome: observed.ReadOutcome) -> None:
    """An organization learns the reason and that the platform team has to act; its owner learns everything (R7)."""
    read = observed.SecretRead(outcome=outcome, annotation="elsewhere.example.com")
    (finding,) = tiers.conclude(tiers.RELAY, {}, secret=read).effective.findings
    (host,) = tiers.conclude_host(tiers.RELAY, secret=read).effective.findings
    assert finding.reason == host.reason
    assert "mailtier/relay" in host.message
    assert not {"mailtier/relay", "kubectl", "elsewhere"} & set(finding.message.split())
    assert "HostEmailSettings" in finding.message


@pytest.mark.parametrize(
    ("read", "reason"),
    [
        (observed.CaRead(outcome=observed.ReadOutcome.NOT_FOUND), "CaNotFound"),
        (observed.CaRead(outcome=observed.ReadOutcome.FORBIDDEN), "CaForbidden"),
        (observed.CaRead(outcome=observed.ReadOutcome.UNAVAILABLE), "ApiUnavailable"),
        (observed.CaRead(outcome=FOUND, problem="it has no key ca.crt"), "CaInvalid"),
        (observed.CaRead(outcome=FOUND), "CaInvalid"),
    ],
)
def test_a_ca_bundle_that_cannot_be_used(read: observed.CaRead, reason: str) -> None:
    """Without its bundle nothing is verified against the public CAs instead (R2)."""
    org = {**tiers.OWN, "smtp": {"host": "smtp.example.org", **BUNDLE}}
    found = tiers.conclude(tiers.RELAY, org, ca=read).effective
    assert found.state is effective.State.UNRESOLVED
    assert [(finding.reason.name, finding.field) for finding in found.findings] == [(reason, "spec.smtp.tls.caRef")]
    assert "ConfigMap team-a/ca" in found.findings[0].message


def test_what_was_read_stands_in_the_settings() -> None:
    """Version and digest of what was read reach the sender."""
    host = {**tiers.RELAY, "smtp": {"host": "relay.example.com", **BUNDLE}}
    planned = tiers.plan(host, {})
    assert planned.secret == observed.SecretNeed(
        namespace="mailtier",
        name="relay",
        keys=(observed.SecretKey(purpose=observed.Purpose.PASSWORD, name="password"),),
    )
    assert planned.ca == observed.CaNeed(namespace="mailtier", kind="ConfigMap", name="ca", key="ca.crt")
    found = tiers.settle(host, {})
    assert found.endpoint is not None
    assert found.endpoint.tls.ca == "ab" * 32
    assert found.auth is not None
    assert found.auth.secret is not None
    assert found.auth.secret.version == "uid/1"


def test_what_was_not_read_is_not_there() -> None:
    """A read that is missing counts as unavailable, never as fine."""
    found = resolve.conclude(tiers.plan(tiers.RELAY, {}), observed.Reads()).effective
    assert found.state is effective.State.UNRESOLVED
    assert [finding.reason.name for finding in found.findings] == ["ApiUnavailable"]


CERTIFICATE: dict[str, Any] = {"tls": {"clientCertificateRef": {"name": "client"}}}


@pytest.mark.parametrize(
    ("read", "reason", "part"),
    [
        (
            observed.SecretRead(outcome=observed.ReadOutcome.NOT_FOUND),
            "SecretNotFound",
            (
                "`kubectl create secret tls -n team-a client --cert=FILE --key=FILE` and bind it to the endpoint with"
                " `kubectl annotate secret -n team-a client 'mailtier.dev/endpoint=smtp.example.org:587' --overwrite`"
            ),
        ),
        (
            observed.SecretRead(outcome=FOUND, version="u/1"),
            "SecretNotBound",
            "if its certificate may be sent there, run `kubectl annotate secret -n team-a client",
        ),
        (
            observed.SecretRead(outcome=FOUND, version="u/1", annotation="smtp.example.org,https://login.example.org"),
            "SecretNotBound",
            "is for access tokens, as its annotation says, so that nothing in it is sent as a certificate",
        ),
        (
            observed.SecretRead(
                outcome=FOUND,
                version="u/1",
                annotation="smtp.example.org",
                unfit=specs.CERTIFICATE,
                problem="the certificate ended on 2026-01-01",
            ),
            "ClientCertificateInvalid",
            (
                "Secret team-a/client, key tls.crt: the certificate ended on 2026-01-01. Have it renewed by what issues"
                " it, or put certificate and key there anew with `kubectl delete secret -n team-a client`, `kubectl"
                " create secret tls -n team-a client --cert=FILE --key=FILE` and `kubectl annotate secret"
            ),
        ),
    ],
)
def test_an_own_client_certificate_that_cannot_be_shown(read: observed.SecretRead, reason: str, part: str) -> None:
    """The finding names the field, what is wrong and what mends it; mail waits meanwhile."""
    org = {**tiers.OWN, "smtp": {**tiers.OWN["smtp"], **CERTIFICATE}}
    found = tiers.conclude(tiers.RELAY, org, certificate=read).effective
    assert found.state is effective.State.UNRESOLVED
    assert [(each.reason.name, each.field) for each in found.findings] == [
        (reason, "spec.smtp.tls.clientCertificateRef")
    ]
    assert part in found.findings[0].message


def test_of_a_certificate_that_is_not_bound_nothing_is_told() -> None:
    """R3: whoever writes the settings learns nothing that is in a Secret whose owner has not agreed."""
    org = {**tiers.OWN, "smtp": {**tiers.OWN["smtp"], **CERTIFICATE}}
    read = observed.SecretRead(outcome=FOUND, version="u/1", unfit=specs.CERTIFICATE, problem="the certificate ended")
    found = tiers.conclude(tiers.RELAY, org, certificate=read).effective
    assert [each.reason.name for each in found.findings] == ["SecretNotBound"]
    assert "ended" not in found.findings[0].message


def test_the_host_s_certificate_is_the_platform_team_s_to_mend() -> None:
    """R7: an organization that inherits the server learns neither the Secret's name nor what is wrong with it."""
    host = {**tiers.RELAY, "smtp": {**tiers.RELAY["smtp"], **CERTIFICATE}}
    read = observed.SecretRead(outcome=observed.ReadOutcome.NOT_FOUND)
    (finding,) = tiers.conclude(host, {}, certificate=read).effective.findings
    assert (finding.reason.name, finding.field) == ("SecretNotFound", "")
    assert "client" not in finding.message
    (mine,) = tiers.conclude_host(host, certificate=read).effective.findings
    assert mine.field == "spec.smtp.tls.clientCertificateRef"
