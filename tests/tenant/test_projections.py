"""Projections: a ConfigMap that the operator writes into a tenant's namespace."""

import json

import pytest

from kit import arena as arena_kit
from kit import attacks, wait
from mailtier.api import names

_NAME = names.projection("default")
_OURS = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.COMPONENT_LABEL: names.PROJECTION_COMPONENT}

ATTACKS = (
    attacks.Story(
        name="projection-onto-an-application-s-settings",
        test="test_what_is_not_ours_is_not_touched",
        rules=("R8",),
        story="A ConfigMap of the projection's name is there already, for settings that say publish to overwrite.",
        stopped_by="one that is not ours is never touched",
    ),
    attacks.Story(
        name="projection-onto-forged-labels",
        test="test_what_is_not_ours_is_not_touched",
        rules=("R8",),
        story="The ConfigMap carries our labels and no owner, for the operator to overwrite it or to delete it.",
        stopped_by="ours is what belongs to the organization's own object",
    ),
    attacks.Refused(
        name="projection-onto-the-root-ca",
        rules=("R8",),
        story="An organization is named so that its projection is kube-root-ca.crt, which every pod trusts.",
        stopped_by="the name has a prefix of its own, and an organization's name no dot",
        spec={"publish": True},
        says="must be a DNS label",
    ),
    attacks.Story(
        name="what-the-host-has-in-a-projection",
        test="test_the_host_s_server_is_not_projected",
        rules=("R3", "R7"),
        story="An organization that inherits everything reads the host's server and account in its projection.",
        stopped_by="the SMTP server is named only where it is the organization's own",
    ),
    attacks.Story(
        name="a-projection-that-lies",
        test="test_a_forged_projection_changes_nothing",
        rules=("R3", "R8"),
        story="A tenant edits its projection, to have mail sent from another address or to another server.",
        stopped_by="nothing trusts a projection",
    ),
    attacks.Story(
        name="a-password-in-a-projection",
        test="test_no_password_is_projected",
        rules=("R1",),
        story="Whoever may read ConfigMaps and not Secrets looks for the password in the projection.",
        stopped_by="it holds the Secret's name and never a value of it",
    ),
)
_REFUSED = [each for each in ATTACKS if isinstance(each, attacks.Refused)]


def _data(attacker: arena_kit.Attacker) -> dict[str, str]:
    found = attacker.arena.get("ConfigMap", attacker.namespace, _NAME)
    return {} if found is None else dict(found["data"])


def _until_projected(attacker: arena_kit.Attacker) -> dict[str, str]:
    found: dict[str, str] = wait.until(
        lambda: _data(attacker), within_seconds=arena_kit.WITHIN, why="the projection is written", poll_seconds=0.05
    )
    return found


@pytest.mark.parametrize("labels", [{}, _OURS], ids=["an application's", "forged labels"])
def test_what_is_not_ours_is_not_touched(attacker: arena_kit.Attacker, labels: dict[str, str]) -> None:
    """A ConfigMap of the same name stays as it is, also when publishing is switched off again (R8)."""
    theirs = arena_kit.config_map(attacker.namespace, _NAME, {"application": "settings"})
    theirs["metadata"]["labels"] = labels
    attacker.arena.put(theirs)
    attacker.settings({"publish": True})
    attacker.until_reason("ConfigMapConflict")
    attacker.settings({})
    attacker.until_reason("Published")
    assert _data(attacker) == {"application": "settings"}


@pytest.mark.parametrize("attack", _REFUSED, ids=str)
def test_no_name_leads_elsewhere(arena: arena_kit.Arena, attack: attacks.Refused) -> None:
    """The projection's name is the organization's with a prefix, and neither can be another object's (R8)."""
    document = {"apiVersion": names.API_VERSION, "kind": names.ORG_KIND, "spec": attack.spec}
    metadata = {"name": "kube-root-ca.crt", "namespace": "default"}
    status, message = arena.rest.try_out(document | {"metadata": metadata})
    assert (status, attack.says in message) == (422, True), message
    assert all(names.projection(name).startswith("mailtier-") for name in ("default", "kube-root-ca"))


def test_the_host_s_server_is_not_projected(attacker: arena_kit.Attacker) -> None:
    """What is inherited names neither server nor account (R3, R7)."""
    attacker.settings({"publish": True})
    data = _until_projected(attacker)
    assert not [key for key in data if key.startswith("SMTP_")]
    assert arena_kit.RELAY_USER not in data.values()
    assert "relay-password" not in json.dumps(data)


def test_a_forged_projection_changes_nothing(attacker: arena_kit.Attacker) -> None:
    """Mail goes out as the settings say, whatever the projection says (R3, R8)."""
    arena = attacker.arena
    attacker.settings({"publish": True})
    _until_projected(attacker)
    path = f"/api/v1/namespaces/{attacker.namespace}/configmaps/{_NAME}"
    forged = {
        "data": {"MAIL_FROM": "ceo@platform.example", "SMTP_HOST": "evil.example", "MAILTIER_URL": "https://evil"}
    }
    assert arena.rest.request("PATCH", path, forged, content_type="application/merge-patch+json")[0] == 200
    recipient = f"forged@{attacker.namespace}.example"
    attacker.until_complete(attacker.post(arena_kit.ALERT | {"recipients": [recipient]}))
    (arrived,) = [each for each in arena.relay.messages if recipient in each.rcpt_to]
    assert arrived.mail_from == "no-reply@platform.example"


def test_no_password_is_projected(attacker: arena_kit.Attacker) -> None:
    """The projection of an own server names its Secret, and holds nothing of it (R1)."""
    password = attacker.arena.secret("a-password-in-a-projection", username="robot")
    attacker.bring(password, endpoint="smtp.example.org")
    attacker.settings(attacks.server("smtp.example.org") | {"publish": True})
    data = _until_projected(attacker)
    assert data["SMTP_SECRET_NAME"] == "smtp"
    assert password not in json.dumps(data)
