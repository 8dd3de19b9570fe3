"""What is made of files is what the operator makes of the same objects."""

import base64

import hypothesis
import pytest
import trustme
from hypothesis import strategies as st

from kit import offline, specs
from mailtier.api import names
from mailtier.cli.offline import judging
from mailtier.cli.offline.files import sources, world
from mailtier.settings import codec, effective, fitness, observed, resolve

_UID = "7f0c2f0e-0000-4000-8000-000000000000"
_ISSUED = trustme.CA().issue_cert("client.example.com", key_type=trustme.KeyType.ECDSA)
_KEY = _ISSUED.private_key_pem.bytes().decode()
_CERTIFICATE = _ISSUED.cert_chain_pems[0].bytes().decode()
_VALUES = {
    observed.Purpose.PRIVATE_KEY: _KEY,
    observed.Purpose.CERTIFICATE_KEY: _KEY,
    observed.Purpose.CERTIFICATE: _CERTIFICATE,
}
_SECRETS = [
    (namespace, name) for namespace in ("team-a", specs.OPERATOR_NAMESPACE) for name in ("relay", "smtp-password")
]
_LABELS = st.sampled_from(({"mail": "on"}, {}, {"mail": "off"}))


@hypothesis.given(
    host=specs.host_documents(),
    orgs=st.dictionaries(st.sampled_from(("default", "b", "c")), specs.org_documents(), max_size=3),
    labels=_LABELS,
    annotation=specs.annotations(),
)
def test_result_is_the_operators_byte_for_byte(
    host: offline.Json, orgs: dict[str, offline.Json], labels: dict[str, str], annotation: str | None
) -> None:
    """For the same objects, with uids and Secrets, the text of effective.json is what plan and conclude give."""
    space = offline.namespace("team-a", **labels)
    space["metadata"]["uid"] = _UID
    plans = {
        name: resolve.plan(
            observed.Observed(
                organization=effective.OrganizationKey(namespace="team-a", name=name),
                namespace_uid=_UID,
                namespace_labels=labels,
                operator_namespace=specs.OPERATOR_NAMESPACE,
                host=observed.parse_host(host),
                org=observed.parse_org(orgs.get(name, {})),
            )
        )
        for name in {"default", *orgs}
    }
    needs = [need for plan in plans.values() for need in (plan.secret, plan.certificate) if need]
    values = {key.name: _VALUES.get(key.purpose, "x") for need in needs for key in need.keys}
    secrets = [offline.secret(namespace, name, endpoint=annotation, **values) for namespace, name in _SECRETS]
    for secret in secrets:
        secret["metadata"] |= {"uid": "uid", "resourceVersion": "1"}
        secret["type"] = names.TLS_SECRET_TYPE
    documents = [
        offline.host(),
        space,
        *secrets,
        *(offline.org("team-a", name, **spec) for name, spec in orgs.items()),
    ]
    documents[0]["spec"] = host
    judge = offline.judge(*documents)
    assert judge.world.noted == []
    for key in judge.organizations():
        if key.namespace != "team-a":
            continue  # With mode All the operator's own namespace is an organization too.
        plan = plans[key.name]
        if plan.ca is not None or "ca" in {need.name for need in (plan.secret, plan.certificate) if need}:
            continue
        reads = observed.Reads(
            secret=_read(plan.secret, values, annotation), certificate=_read(plan.certificate, values, annotation)
        )
        expected = resolve.conclude(plan, reads)
        assert codec.encode(judge.organization(key).effective) == codec.encode(expected.effective)


def _read(
    need: observed.SecretNeed | None, values: dict[str, str], annotation: str | None
) -> observed.SecretRead | None:
    """Return what the operator would read of a Secret with all values."""
    if need is None:
        return None
    judged = fitness.judge(need, lambda key: values[key].encode(), kind=names.TLS_SECRET_TYPE, now=specs.NOW)
    return observed.SecretRead(
        outcome=observed.ReadOutcome.FOUND,
        version="uid/1",
        annotation=annotation,
        unfit=judged.unfit,
        problem=judged.problem,
        expires_at=judged.expires_at,
    )


@hypothesis.given(situation=specs.situations())
def test_objects_that_refer_to_what_is_absent_are_never_unresolved_for_it(situation: observed.Observed) -> None:
    """By default nothing is said of a Secret or a bundle that is not in the input."""
    objects = world.build(sources.parse("f", ""))
    objects.namespaces[situation.organization.namespace] = world.Namespace(
        uid=situation.namespace_uid, labels=situation.namespace_labels, document=None
    )
    document = sources.parse("f", "{kind: Thing}").documents[0]
    if situation.host is not None:
        objects.host = world.Host(document=document, spec=situation.host)
    objects.organizations[situation.organization] = world.Organization(document=document, spec=situation.org)
    judge = judging.Judge(objects, operator_namespace=specs.OPERATOR_NAMESPACE, now=specs.NOW)
    found = judge.organization(situation.organization).effective
    assert found.findings or found.state != effective.State.UNRESOLVED


def test_implicit_organizations_follow_the_policy() -> None:
    """With mode All every namespace that is named is an organization, with Selector those with the labels."""
    spaces = (offline.namespace("a", mail="on"), offline.namespace("b"), offline.org("c", "x"))
    listed = {"organizations": {"mode": "Listed"}}
    everything = {"organizations": {"mode": "All"}}
    selector = {"organizations": {"mode": "Selector", "selector": {"matchLabels": {"mail": "on"}}}}

    def organizations(policy: offline.Json) -> list[str]:
        return [str(key) for key in offline.judge(offline.host(policy=policy), *spaces).organizations()]

    assert organizations(listed) == ["c/x"]
    assert organizations(everything) == ["a/default", "b/default", "c/x"]
    assert organizations(selector) == ["a/default", "c/x"]


def test_labels_that_are_not_in_the_input_are_assumed() -> None:
    """An object in a namespace that is only named is not blocked for labels nobody showed, unless one is strict."""
    policy = {"organizations": {"mode": "Selector", "selector": {"matchLabels": {"mail": "on"}}}}
    documents = (offline.host(policy=policy), offline.org("c"))
    key = effective.OrganizationKey(namespace="c", name="default")
    judge = offline.judge(*documents)
    assert judge.organization(key).effective.state == effective.State.ACTIVE
    assert "1 Namespace to have the labels" in str(judge.assumed)
    strict = offline.judge(*documents, strict=True).organization(key).effective
    assert [finding.reason.name for finding in strict.findings] == ["NamespaceNotAllowed"]
    shown = offline.judge(*documents, offline.namespace("c")).organization(key).effective
    assert [finding.reason.name for finding in shown.findings] == ["NamespaceNotAllowed"]


@pytest.mark.parametrize(
    ("value", "told"), [(b"hunter\xff2", "not UTF-8"), (b"\xef\xbb\xbfhunter2", "byte order mark")]
)
def test_bytes_that_are_no_password_are_told_as_in_a_cluster(value: bytes, told: str) -> None:
    """A repository is told of them before they are applied, and nothing of the value is shown (R1)."""
    body = offline.secret("team-a", "smtp", endpoint="smtp.example.org")
    body["data"] = {"password": base64.b64encode(value).decode()}
    server = {"smtp": {"host": "smtp.example.org"}, "from": {"address": "a@example.org"}}
    auth = {"username": "robot", "passwordSecretRef": {"name": "smtp"}}
    documents = (
        offline.host(),
        offline.namespace("team-a"),
        body,
        offline.org("team-a", "default", **server, auth=auth),
    )
    key = effective.OrganizationKey(namespace="team-a", name="default")
    (finding,) = offline.judge(*documents).organization(key).effective.findings
    assert told in finding.message
    assert "hunter" not in finding.message
