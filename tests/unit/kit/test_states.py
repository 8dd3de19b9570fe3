"""The table of states is complete, and each state is what it says."""

import collections

import pytest

from kit import states
from mailtier.api import names, reasons, status, vocabulary

_STATES = states.all_states()
_MODELS = {
    names.HOST_KIND: status.HostStatus,
    names.ORG_KIND: status.OrgStatus,
    names.NOTIFICATION_KIND: status.NotificationStatus,
}


def test_every_reason_has_a_state() -> None:
    """A new reason comes with an input of the core that leads to it."""
    assert {reason.name for reason in reasons.ALL} == {state.reason.name for state in _STATES}


@pytest.mark.parametrize("state", _STATES, ids=lambda state: f"{state.kind}-{state.reason.name}")
def test_state_has_its_reason(state: states.State) -> None:
    """The reason stands on the condition that it belongs to, in a status that the CRD takes."""
    found = [state.conditions[type_]["reason"] for type_ in state.reason.conditions if type_ in state.conditions]
    assert state.reason.name in found
    _MODELS[state.kind].model_validate(state.status)


@pytest.mark.parametrize("state", _STATES, ids=lambda state: f"{state.kind}-{state.reason.name}")
def test_progress_follows_from_the_reason(state: states.State) -> None:
    """What may mend itself, or others have to mend, is Reconciling, what needs somebody Stalled, all else neither."""
    ready = state.conditions["Ready"]
    deciding = reasons.BY_NAME[ready["reason"]]
    found = {type_ for type_ in ("Reconciling", "Stalled") if type_ in state.conditions}
    if ready["status"] == "True":
        assert found == set()
    else:
        assert deciding.progress != vocabulary.Progress.NONE
        assert found == {"Reconciling" if state.is_host_s else deciding.progress.value}


@pytest.mark.parametrize("state", _STATES, ids=lambda state: f"{state.kind}-{state.reason.name}")
def test_conditions_are_those_of_the_conventions(state: states.State) -> None:
    """Each type once, Ready always there and never Unknown, a message on all, and one generation everywhere."""
    types = collections.Counter(condition["type"] for condition in state.status["conditions"])
    assert set(types.values()) == {1}
    assert state.conditions["Ready"]["status"] in {"True", "False"}
    assert all(condition["message"] for condition in state.status["conditions"])
    generations = {condition["observedGeneration"] for condition in state.status["conditions"]}
    assert generations | {state.status["observedGeneration"]} == {states.GENERATION}
