"""Who writes a field that there is not reads which one may be meant."""

import time

import pydantic
import pytest

from mailtier.api import kinds, notification, problems, suggestions


def _told(field: str, meant: str) -> str:
    return f"spec.{field}: is not a field; did you mean {meant}?"


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"host": "x"}, "spec.host: is not a field; did you mean smtp.host?"),
        ({"displayName": "x"}, "spec.displayName: is not a field; did you mean from.displayName?"),
        ({"Smtp": {}}, "spec.Smtp: is not a field; did you mean smtp?"),
        ({"auth": {"user_name": "x"}}, "spec.auth.user_name: is not a field; did you mean username?"),
        ({"from": {"addresz": "x"}}, "spec.from.addresz: is not a field; did you mean address?"),
        (
            {"delivery": {"timeouts": {"sessiom": "1s"}}},
            "spec.delivery.timeouts.sessiom: is not a field; did you mean session?",
        ),
        ({"zzz": 1}, "spec.zzz: is not a field"),
        # Fields of these names are far away.
        ({"delivery": {"name": "x"}}, "spec.delivery.name: is not a field"),
        ({"delivery": {"timeouts": {"enabled": True}}}, "spec.delivery.timeouts.enabled: is not a field"),
        ({"enabled": True}, "spec.enabled: is not a field"),
        ({"notifications": {"recipients": []}}, "spec.notifications.recipients: is not a field"),
        ({"delivery": {"timeouts": {"maxAge": "5m"}}}, _told("delivery.timeouts.maxAge", "delivery.maxAge")),
        *(
            ({name: "x"}, _told(name, meant))
            for name, meant in {
                "hostname": "smtp.host",
                "smtp_host": "smtp.host",
                "SMTP_PORT": "smtp.port",
                "smtpUser": "auth.username",
                "smtpSsl": "smtp.tls.mode",
                "tlsMode": "smtp.tls.mode",
                "mail_server": "smtp.host",
                "fromAddress": "from.address",
                "from_name": "from.displayName",
                "fromEmail": "from.address",
                "senderName": "from.displayName",
                "authMechanism": "auth.mechanism",
                "encryption": "smtp.tls.mode",
                "maxAge": "delivery.maxAge",
            }.items()
        ),
        *(
            ({"smtp": {"host": "x", name: "x"}}, _told(f"smtp.{name}", meant))
            for name, meant in {
                "hostname": "host",
                "server": "host",
                "smtpHost": "host",
                "ssl": "smtp.tls.mode",
                "encryption": "smtp.tls.mode",
                "secure": "smtp.tls.mode",
                "starttls": "smtp.tls.mode",
                "tlsMode": "smtp.tls.mode",
                "user": "auth.username",
            }.items()
        ),
        ({"smtp": {"host": "x", "tls": {"enabled": True}}}, _told("smtp.tls.enabled", "mode")),
        ({"auth": {"user": "x"}}, _told("auth.user", "username")),
        ({"auth": {"secretName": "x"}}, _told("auth.secretName", "auth.passwordSecretRef.name")),
        ({"from": {"email": "x"}}, _told("from.email", "address")),
        ({"from": {"name": "x"}}, _told("from.name", "displayName")),
        (
            {"smtp": {"host": "x", "tls": {"verify": False}}},
            f"spec.smtp.tls.verify: is not a field; {suggestions.VERIFIED}",
        ),
        ({"z" * 1000: 1}, f"spec.{'z' * 1000}: is not a field"),
    ],
)
def test_the_field_that_may_be_meant_is_told(spec: dict[str, object], told: str) -> None:
    """By another spelling, in another place, or by a name that is like it; nothing where nothing is."""
    assert told in map(str, _found(spec))


@pytest.mark.parametrize(
    "spec", [{"auth": {"password": "hunter2"}}, {"auth": {"passwordSecretRef": "hunter2"}}, {"password": "hunter2"}]
)
def test_a_literal_password_has_its_own_sentence(spec: dict[str, object]) -> None:
    """It says where a password belongs, and does not repeat it (R1)."""
    (told,) = (str(each) for each in _found(spec) if "assword" in each.field)
    assert told.endswith(suggestions.LITERAL)
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("model", "location", "told"),
    [
        (kinds.HostEmailSettings, ("spec", "mode"), "did you mean policy.mode?"),
        (kinds.HostEmailSettings, ("smtp",), "did you mean spec.smtp?"),
        (kinds.Notification, ("spec", "to"), "did you mean recipients?"),
        (notification.NotificationRequest, ("body",), "did you mean text?"),
        (kinds.Notification, ("spec", "smtp_host"), ""),
    ],
)
def test_only_fields_of_the_kind_are_told(
    model: type[pydantic.BaseModel], location: tuple[str, ...], told: str
) -> None:
    """What is usually meant in one kind is not told where another has no such field."""
    assert suggestions.for_unknown(model, location) == told


def test_whatever_is_usually_meant_is_a_field() -> None:
    """A suggestion never names a field that no kind has."""
    for group, usual in suggestions._USUAL.items():
        for name in usual:
            location = ("spec", *filter(None, group.split(".")), name)
            told = [suggestions.for_unknown(model, location) for model in kinds.ALL.values()]
            assert any(told), (group, name)


def test_a_name_without_an_end_is_compared_with_nothing() -> None:
    """A name as long as a request may be costs what another costs: the loop is everybody's (R10, R15)."""
    model = kinds.ALL["Notification"]

    def cost(name: str) -> float:
        started = time.process_time()
        for _ in range(20):
            suggestions.for_unknown(model, ("spec", name))
        return time.process_time() - started

    assert min(cost("z" * 250_000) for _ in range(3)) < 20 * max(min(cost("z" * 60) for _ in range(3)), 0.001)


def test_a_null_hides_nothing() -> None:
    """What else is wrong beside a null is told with it, and what is required is not told twice."""
    found = [each.field for each in _found({"smtp": {"host": None, "port": "x", "tls": None}, "from": None, "x": 1})]
    assert sorted(found) == ["spec.from", "spec.smtp.host", "spec.smtp.port", "spec.smtp.tls", "spec.x"]


def _found(spec: dict[str, object]) -> tuple[problems.Problem, ...]:
    document = {
        "apiVersion": "mailtier.dev/v1alpha1",
        "kind": "OrgEmailSettings",
        "metadata": {"namespace": "acme", "name": "default"},
        "spec": spec,
    }
    return problems.found(kinds.ALL["OrgEmailSettings"], document)


@pytest.mark.parametrize(
    ("spec", "meant"),
    [
        ({"from": "sales@acme.example"}, "from.address"),
        ({"smtp": "smtp.acme.example"}, "smtp.host"),
        ({"smtp": {"host": "smtp.acme.example", "tls": "Implicit"}}, "smtp.tls.mode"),
        ({"notifications": {"jobAlert": ["ops@acme.example"]}}, "notifications.jobAlert.recipients"),
    ],
)
def test_a_value_in_place_of_its_object_is_led_to_its_field(spec: dict[str, object], meant: str) -> None:
    """Whoever writes the value flat is told the field below, and never reads the value again."""
    (problem,) = _found(spec)
    assert problem.message == f"must be an object; did you mean {meant}?"
    assert problem.has_remedy


def test_a_value_in_place_of_an_object_of_many_is_left_alone() -> None:
    """Where nothing is likelier than the rest, nothing is suggested."""
    (problem,) = _found({"delivery": {"timeouts": "30s"}})
    assert problem.message == "must be an object"
