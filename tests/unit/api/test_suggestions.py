"""Who writes a field that there is not reads which one may be meant."""

import time

import pytest

from mailtier.api import kinds, problems, suggestions


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
