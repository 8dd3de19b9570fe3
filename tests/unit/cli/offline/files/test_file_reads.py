"""Secrets and CA bundles are judged where they are in the input, and assumed where they are not."""

import base64

import pytest
import trustme

from kit import certs, offline
from mailtier.api import names
from mailtier.settings import bundles, effective, resolve

_ORG = {
    "smtp": {"host": "smtp.acme.example"},
    "auth": {"username": "a", "passwordSecretRef": {"name": "s"}},
    "from": {"address": "a@acme.example"},
}
_KEY = effective.OrganizationKey(namespace="acme", name="default")
_BOUND = "smtp.acme.example:587"


def _resolve(*documents: offline.Json, strict: bool = False) -> resolve.Resolution:
    return offline.judge(offline.host(), offline.org("acme", **_ORG), *documents, strict=strict).organization(_KEY)


def _reasons(resolution: resolve.Resolution) -> list[str]:
    return [finding.reason.name for finding in resolution.effective.findings]


def test_absent_secret_is_assumed() -> None:
    """A Secret that is not in the repository does not make settings unresolved, and what was assumed is told."""
    judge = offline.judge(offline.host(), offline.org("acme", **_ORG))
    assert judge.organization(_KEY).effective.state == effective.State.ACTIVE
    assert str(judge.assumed) == "1 Secret to exist and be bound"


def test_strictness_takes_what_is_absent_for_missing() -> None:
    """With --strict-references an absent Secret is the operator's own finding."""
    assert _reasons(_resolve(strict=True)) == ["SecretNotFound"]


@pytest.mark.parametrize(
    ("secret", "reasons"),
    [
        (offline.secret("acme", "s", endpoint=_BOUND, password="x"), []),
        (offline.secret("acme", "s", endpoint="smtp.acme.example", password="x"), []),
        (offline.secret("acme", "s", endpoint="smtp.other.example", password="x"), ["SecretNotBound"]),
        (offline.secret("acme", "s", password="x"), ["SecretNotBound"]),
        (offline.secret("acme", "s", endpoint=_BOUND, other="x"), ["SecretKeyMissing"]),
        (offline.secret("acme", "s", endpoint=_BOUND, password="x\n"), ["SecretKeyMissing"]),
    ],
)
def test_present_secret_is_judged(secret: offline.Json, reasons: list[str]) -> None:
    """Annotation and key are looked at as the operator looks at them (R3)."""
    assert _reasons(_resolve(secret)) == reasons


def test_data_is_decoded_and_string_data_wins() -> None:
    """What `data` holds is base64, broken where it is not; `stringData` stands above it, as in the API server."""
    secret = offline.secret("acme", "s", endpoint=_BOUND)
    secret["data"] = {"password": base64.b64encode(b"x").decode()}
    assert _reasons(_resolve(secret)) == []
    secret["data"] = {"password": "%%%"}
    assert _reasons(_resolve(secret)) == ["SecretKeyMissing"]
    secret["stringData"] = {"password": "x"}
    assert _reasons(_resolve(secret)) == []


def test_a_skeleton_is_filled_elsewhere() -> None:
    """A Secret without any value stands for its annotation alone: that it is filled is assumed, and told."""
    secret = offline.secret("acme", "s", endpoint=_BOUND)
    judge = offline.judge(offline.host(), offline.org("acme", **_ORG), secret)
    assert _reasons(judge.organization(_KEY)) == []
    assert "1 empty Secret to be filled" in str(judge.assumed)
    assert _reasons(_resolve(secret, strict=True)) == ["SecretKeyMissing"]
    assert _reasons(_resolve(offline.secret("acme", "s"))) == ["SecretNotBound"]
    secret["metadata"]["uid"] = "1f0c"
    assert _reasons(_resolve(secret)) == ["SecretKeyMissing"], "a cluster printed it, and knows"


def test_encrypted_values_are_taken_as_they_are() -> None:
    """What SOPS encrypted is judged in the cluster; its annotation and its keys stand in the open."""
    secret = offline.secret("acme", "s", endpoint=_BOUND)
    secret |= {"data": {"password": "ENC[AES256_GCM,data:c2VjcmV0]"}, "sops": {"version": "3.9.0"}}
    assert _reasons(_resolve(secret)) == []
    secret["data"] = {"other": "ENC[AES256_GCM,data:c2VjcmV0]"}
    assert _reasons(_resolve(secret)) == ["SecretKeyMissing"]


def test_ca_bundle_is_judged_where_it_is(ca: certs.Authority) -> None:
    """A bundle in the input gives its digest; a broken one is a finding; an absent one has no digest."""
    org = {**_ORG, "smtp": {"host": "smtp.acme.example", "tls": {"caRef": {"kind": "ConfigMap", "name": "ca"}}}}
    pem = ca.ca_pem

    def bundle(text: str) -> offline.Json:
        metadata = {"name": "ca", "namespace": "acme"}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {names.CA_KEY: text}}

    def settle(*documents: offline.Json, strict: bool = False) -> effective.Effective:
        judge = offline.judge(offline.host(), offline.org("acme", **org), *documents, strict=strict)
        return judge.organization(_KEY).effective

    found = settle(bundle(pem))
    assert found.endpoint is not None
    assert found.endpoint.tls.ca == bundles.parse(pem).digest
    assert [finding.reason.name for finding in settle(bundle("nothing")).findings] == ["CaInvalid"]
    absent = settle()
    assert absent.endpoint is not None
    assert (absent.state, absent.endpoint.tls.ca) == (effective.State.ACTIVE, "unknown")
    secret = offline.secret("acme", "s", endpoint=_BOUND, password="x")
    assert [finding.reason.name for finding in settle(secret, strict=True).findings] == ["CaNotFound"]


def test_a_client_certificate_is_judged_too() -> None:
    """Type, pair and end are looked at as the operator looks at them; one that is absent, or encrypted, is assumed."""
    issued = trustme.CA().issue_cert("client.example.com")
    pair = {
        "tls.crt": issued.cert_chain_pems[0].bytes().decode(),
        "tls.key": issued.private_key_pem.bytes().decode(),
    }
    org = {
        **_ORG,
        "auth": {"mechanism": "Anonymous"},
        "smtp": {"host": "smtp.acme.example", "tls": {"clientCertificateRef": {"name": "client"}}},
    }
    policy = {"policy": {"endpoints": {"anonymous": True}}}

    def reasons(*secrets: offline.Json, **how: bool) -> list[str]:
        judge = offline.judge(offline.host(**policy), offline.org("acme", **org), *secrets, **how)
        return _reasons(judge.organization(_KEY))

    assert reasons() == []
    assert reasons(strict=True) == ["SecretNotFound"]
    secret = offline.secret("acme", "client", endpoint=_BOUND, **pair)
    assert reasons(secret) == ["ClientCertificateInvalid"]
    assert reasons({**secret, "type": "kubernetes.io/tls"}) == []
    assert reasons({**secret, "type": "kubernetes.io/tls", "metadata": {**secret["metadata"], "annotations": {}}}) == [
        "SecretNotBound"
    ]
    assert reasons({**secret, "sops": {"version": "3.9.0"}}) == []
