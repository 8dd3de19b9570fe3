"""Objects in every state, as the real kstatus, Argo CD's Lua interpreter and Flux' evaluator see them."""

import itertools
import pathlib
import typing

import pytest
import yaml

from kit import health, states, states_page
from mailtier.api import names

_KINDS = (names.HOST_KIND, names.ORG_KIND, names.NOTIFICATION_KIND)
_ARGOCD = health.ROOT / health.SCRIPT.parent


def _documents() -> list[dict[str, typing.Any]]:
    """Return an object in each state of the table, and in those that have no reason."""
    others = [document for kind in _KINDS for _, document in states_page.others(kind)]
    return [*(state.document for state in states.all_states()), *others]


@pytest.fixture(scope="module")
def judged() -> list[tuple[dict[str, typing.Any], health.Verdict]]:
    """Return every object with what the real tools say of it."""
    documents = _documents()
    found = health.ask(documents, flux=health.expressions("Health checks in CEL"))
    return list(zip(documents, found, strict=True))


def test_kstatus_says_what_the_table_says(judged: list[tuple[dict[str, typing.Any], health.Verdict]]) -> None:
    """The library itself gives the column of the table for each of its states."""
    assert [verdict.kstatus for _, verdict in judged] == [health.kstatus(document) for document, _ in judged]
    assert {verdict.kstatus for _, verdict in judged} == {"InProgress", "Failed", "Current", "Terminating"}


def test_argocd_says_what_the_table_says(judged: list[tuple[dict[str, typing.Any], health.Verdict]]) -> None:
    """The script in Argo CD's interpreter gives health and message of each state."""
    living = [(document, verdict) for document, verdict in judged if verdict.kstatus != "Terminating"]
    found = [(verdict.argocd, verdict.argocd_message) for _, verdict in living]
    assert found == [health.argocd(document) for document, _ in living]
    assert {argocd for argocd, _ in found} == {"Progressing", "Degraded", "Healthy", "Suspended"}


def test_flux_says_what_kstatus_says(judged: list[tuple[dict[str, typing.Any], health.Verdict]]) -> None:
    """The documented expressions, evaluated by Flux' own code, agree with kstatus on each state."""
    living = [verdict for _, verdict in judged if verdict.kstatus != "Terminating"]
    assert [verdict.flux for verdict in living] == [verdict.kstatus for verdict in living]


def test_the_tools_agree_with_each_other(judged: list[tuple[dict[str, typing.Any], health.Verdict]]) -> None:
    """Whoever waits gets one answer, whatever tool it uses."""
    same = {"Current": {"Healthy", "Suspended"}, "Failed": {"Degraded"}, "InProgress": {"Progressing"}}
    for document, verdict in judged:
        if verdict.kstatus != "Terminating":
            assert verdict.argocd in same[verdict.kstatus], document["metadata"]["name"]


def test_argocd_does_not_look_at_the_order_of_conditions() -> None:
    """Every order of an object's conditions has the same health."""
    chosen = {health.argocd(state.document)[0]: state.document for state in states.all_states()}
    for document in chosen.values():
        status = document["status"]
        orders = [
            {**document, "status": {**status, "conditions": list(order)}}
            for order in itertools.permutations(status["conditions"])
        ]
        found = {(verdict.argocd, verdict.argocd_message) for verdict in health.ask(orders)}
        assert found == {health.argocd(document)}


def test_an_object_without_status_is_progressing_in_argocd() -> None:
    """Where a CRD was installed without our default, Argo CD waits; kstatus would take the object for finished."""
    documents = [states.document(kind, status=status) for kind in _KINDS for status in (None, {})]
    assert {(verdict.argocd, verdict.kstatus) for verdict in health.ask(documents)} == {("Progressing", "Current")}


def test_expressions_that_wait_for_the_mail_server_do_so() -> None:
    """The stricter expressions fail a probe that failed, wait for one that is due, and else change nothing."""
    mine = [state for state in states.all_states() if state.kind == names.HOST_KIND]
    found = health.ask([state.document for state in mine], flux=health.expressions("Wait for the mail server too"))
    for state, verdict in zip(mine, found, strict=True):
        verified = state.conditions["Verified"]
        expected = verdict.kstatus
        if expected == "Current" and verified["status"] == "False":
            expected = "Failed"
        if expected == "Current" and verified["reason"] == "ProbePending":
            expected = "InProgress"
        assert verdict.flux == expected, state.reason


@pytest.mark.parametrize("kind", _KINDS)
def test_argocd_s_own_layout_passes_its_tests(kind: str) -> None:
    """The folder of a kind holds a script and objects with the health that Argo CD's test format says they have."""
    folder = _ARGOCD / names.GROUP / kind
    tests = yaml.safe_load((folder / "health_test.yaml").read_text(encoding="utf-8"))["tests"]
    documents = [_load(folder / test["inputPath"]) for test in tests]
    script = (folder / "health.lua").read_text(encoding="utf-8")
    found = health.ask(documents, scripts={kind: script})
    expected = [(test["healthStatus"]["status"], test["healthStatus"]["message"]) for test in tests]
    assert [(verdict.argocd, verdict.argocd_message) for verdict in found] == expected
    assert len({status for status, _ in expected}) >= 3


def test_the_config_map_holds_the_script_of_each_kind() -> None:
    """What a user merges into argocd-cm, evaluated as it stands there, is the script that was tested."""
    data = _load(_ARGOCD / "argocd-cm.yaml")["data"]
    script = (health.ROOT / health.SCRIPT).read_text(encoding="utf-8")
    prefix = f"resource.customizations.health.{names.GROUP}_"
    assert data == {prefix + kind: script for kind in _KINDS}


def _load(path: pathlib.Path) -> dict[str, typing.Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))
