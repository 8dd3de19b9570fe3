"""Findings are sentences with a path, and never quote what was given."""

import pydantic
import pytest

from kit import corpus
from mailtier.api import kinds, notification, problems, settings

_PASSWORD = "hunter2-correct-horse"


@pytest.mark.parametrize(
    "spec",
    [
        {"auth": {"username": "mailer", "password": _PASSWORD}},
        {"auth": {"username": f"{_PASSWORD}\n", "passwordSecretRef": {"name": "smtp"}}},
        {"auth": {"mechanism": _PASSWORD}},
        {"auth": {"passwordSecretRef": _PASSWORD}},
        {"smtp": {"host": f"mailer:{_PASSWORD}@smtp.example.com", "port": _PASSWORD}},
        {"from": {"displayName": [_PASSWORD]}},
        {"suspend": _PASSWORD},
        _PASSWORD,
    ],
)
def test_password_in_the_wrong_place_is_not_repeated(spec: object) -> None:
    """Neither the findings nor the error itself hold the value (R1)."""
    document = corpus.document("OrgEmailSettings", spec)
    found = problems.found(kinds.OrgEmailSettings, document)
    assert found
    assert _PASSWORD not in "".join(map(str, found))
    with pytest.raises(pydantic.ValidationError) as error:
        kinds.OrgEmailSettings.model_validate(document)
    assert _PASSWORD not in str(error.value)


def test_path_leads_to_the_field() -> None:
    """The path goes through lists and maps, and begins where the caller says."""
    spec = {"notifications": {"jobAlert": {"recipients": ["a@example.com", "nobody"]}}}
    with pytest.raises(pydantic.ValidationError) as error:
        settings.OrgSpec.model_validate(spec)
    (problem,) = problems.listed(error.value, settings.OrgSpec, below="spec")
    assert problem.field == "spec.notifications.jobAlert.recipients[1]"


def test_rule_names_its_own_field() -> None:
    """A rule of a group that is about one field is reported on that field."""
    (problem,) = problems.found(notification.NotificationSpec, {"category": "PasswordRecovery"})
    assert problem.field == "category"
    assert problem.message.startswith("PasswordRecovery is taken over HTTPS only")


def test_null_is_named() -> None:
    """An explicit null is refused on the field that holds it, as server-side apply does."""
    (problem,) = problems.found(settings.OrgSpec, {"from": {"displayName": "Sales", "replyTo": None}})
    assert str(problem) == "from.replyTo: null is not a value; leave the field out"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"smtp": {"host": None}}, "smtp.host: null is not a value; the field is required: DNS name or IP address of"),
        (
            {"smtp": {"host": "x", "tls": {"caRef": {"kind": None, "name": "x"}}}},
            "smtp.tls.caRef.kind: null is not a value; the field is required: it is one of ConfigMap, Secret",
        ),
        ({"from": {"address": None}}, "from: is empty; set at least one of"),
    ],
)
def test_null_is_told_with_what_is_to_be_written(spec: object, said: str) -> None:
    """What cannot be left out is not told to be left out, and what leaving it out would break is told too."""
    assert any(str(problem).startswith(said) for problem in problems.found(settings.OrgSpec, spec))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ({"code": 55}, "code: must be between 400 and 599"),
        ({"code": 700}, "code: must be between 400 and 599"),
        ({"enhanced": "5.7"}, "enhanced: must be an enhanced status code of a refusal, such as 5.7.1 or 4.2.2"),
        ({"text": ""}, "text: must have at least 1 character"),
    ],
)
def test_all_that_a_value_may_be_is_told(override: dict[str, object], said: str) -> None:
    """Whoever corrects a value by what is said of it is not told the next bound after that."""
    spec = {"smtp": {"host": "smtp.example.com"}, "delivery": {"replies": [{**override, "action": "Fail"}]}}
    assert [str(problem) for problem in problems.found(settings.OrgSpec, spec)] == [f"delivery.replies[0].{said}"]


def test_each_field_of_the_endpoint_s_owner_is_told_at_its_place() -> None:
    """Of an organization on the host's server, exactly what is set is told, and not that the server could be set."""
    spec = {"delivery": {"endpointRatePerMinute": 5, "ratePerMinute": 5, "replies": [], "ehloIgnore": ["SIZE"]}}
    found = problems.found(settings.OrgSpec, spec)
    fields = ["delivery.ehloIgnore", "delivery.replies", "delivery.endpointRatePerMinute"]
    said = "belongs to the owner of the endpoint; remove it, or set smtp.host to an endpoint of your own"
    assert [(problem.field, problem.message) for problem in found] == [(field, said) for field in fields]


def test_a_fallback_needs_a_server() -> None:
    """A group that names no server is told what it would be good for."""
    for spec in ({"smtp": {"fallback": {"host": "b.example.com"}}}, {"spec": {"smtp": {"port": 25}}}):
        model = kinds.OrgEmailSettings if "spec" in spec else settings.OrgSpec
        document = corpus.document("OrgEmailSettings", spec["spec"]) if "spec" in spec else spec
        (problem,) = problems.found(model, document)
        assert problem.message == ("is required; port, tls and fallback only go with a host: set it, or remove smtp")


def test_a_null_hides_no_rule_of_its_object() -> None:
    """A name that no HostEmailSettings may have is told beside a null."""
    document = {**corpus.document("HostEmailSettings"), "metadata": {"name": "x"}, "spec": None}
    found = problems.found(kinds.HostEmailSettings, document)
    assert [problem.message.split(";")[0] for problem in found] == [
        "null is not a value",
        "metadata.name must be default: a cluster has one HostEmailSettings",
    ]


@pytest.mark.parametrize("other", [None, "a b@example.com"])
def test_a_bad_entry_hides_no_duplicate(other: object) -> None:
    """That a list names a value twice is told beside what is wrong with another entry."""
    recipients = [other, "a@example.com", "a@example.com"]
    found = problems.found(settings.OrgSpec, {"notifications": {"jobAlert": {"recipients": recipients}}})
    assert [problem.field for problem in found] == [
        "notifications.jobAlert.recipients[0]",
        "notifications.jobAlert.recipients",
    ]


def test_every_finding_is_listed() -> None:
    """A person sees all that is wrong at once."""
    found = problems.found(settings.OrgSpec, {"smtp": {"port": 0}, "suspend": "yes", "other": 1})
    assert [str(problem) for problem in found] == [
        "smtp.host: is required; port, tls and fallback only go with a host: set it, or remove smtp",
        "smtp.port: must be between 1 and 65535",
        "suspend: must be true or false",
        "other: is not a field",
    ]


@pytest.mark.parametrize("model", [notification.NotificationRequest, notification.NotificationSpec])
def test_a_link_is_at_fault_by_its_own_name(model: type[pydantic.BaseModel]) -> None:
    """A link with a user before its server is refused by either way in, at the value and not at all of the data."""
    document = {"category": "JobAlert", "data": {"link": "https://corp.example@evil.example/"}}
    assert [problem.field for problem in problems.found(model, document)] == ["data.link"]
