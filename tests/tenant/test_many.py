"""Many: a quota for each object, a port scan by probes, connections beyond the host's limit."""

import contextlib
import time

import pytest

from kit import arena as arena_kit
from kit import attacks, smtpd, wait
from mailtier.api import names
from mailtier.sender.probing import budget

_HELD = {"suspend": True}
_CROWD = [f"{number}@tenant.example" for number in range(20)]

ATTACKS = (
    attacks.Story(
        name="eight-organizations-for-eight-quotas",
        test="test_organizations_share_their_namespace_s_quota",
        rules=("R3", "R13"),
        story="A namespace holds eight organizations, to queue as much with each of them.",
        stopped_by="the quota is the namespace's",
    ),
    attacks.Story(
        name="objects-beside-the-quota",
        test="test_organizations_share_their_namespace_s_quota",
        rules=("R3", "R13"),
        story="What the intake refuses beyond the quota is applied as Notification objects.",
        stopped_by="both ways in have one quota",
    ),
    attacks.Story(
        name="port-scan-by-probes",
        test="test_a_namespace_is_no_port_scanner",
        rules=("R6", "R7"),
        story="A namespace's organizations name one address after another, to read in their status who answers.",
        stopped_by="a namespace has three probes at once, then one a minute, and no timings stand in its status",
    ),
    attacks.Story(
        name="probe-as-often-as-it-changes",
        test="test_a_change_is_no_reason_to_probe_more",
        rules=("R7",),
        story="The organization changes what it says of a server of its own again and again, each time to be probed at"
        " once.",
        stopped_by="a namespace has three probes at once, then one a minute",
    ),
    attacks.Story(
        name="connections-beyond-the-limit",
        test="test_the_host_s_limit_holds_for_all_together",
        rules=("R3",),
        story="Many organizations send through the host's relay at once, each up to the limit of connections.",
        stopped_by="the limit is the endpoint's, however many organizations use it",
    ),
    attacks.Refused(
        name="own-limits-on-the-host-s-server",
        rules=("R3",),
        story="An organization that inherits the endpoint raises its number of connections.",
        stopped_by="they belong to the owner of the endpoint",
        spec={"delivery": {"maxConnections": 100}},
        says="maxConnections",
    ),
    attacks.Refused(
        name="a-name-as-long-as-two",
        rules=("R3",),
        story="An organization's name is so long that names made from it are cut and meet another's.",
        stopped_by="a name has at most 50 characters",
        spec={},
        says="at most 50 characters",
    ),
    attacks.Refused(
        name="a-name-with-a-dot",
        rules=("R3",),
        story="An organization's name has a dot, so that namespace and name read like those of another.",
        stopped_by="a name is a DNS label, and a namespace has no dot",
        spec={},
        says="must be a DNS label",
    ),
)
_NAMES = {"a-name-as-long-as-two": "a" * 51, "a-name-with-a-dot": "default.other"}


def test_organizations_share_their_namespace_s_quota(attacker: arena_kit.Attacker) -> None:
    """What many organizations of a namespace have queued counts together, over HTTPS and as objects (R3, R13)."""
    organizations = [f"org-{number}" for number in range(8)]
    for name in organizations:
        attacker.settings(_HELD, name=name)
    body = arena_kit.ALERT | {"recipients": _CROWD}
    statuses = [attacker.post(body, organization=name).status for name in organizations]
    fits = arena_kit.QUOTA_MESSAGES // len(_CROWD)
    assert statuses == [202] * fits + [429] * (len(organizations) - fits)
    spec = body | {"organization": organizations[-1]}
    attacker.notify("beside", spec)
    told = attacker.until_reason("QuotaExceeded", type_="Accepted", kind=names.NOTIFICATION_KIND, name="beside")
    assert told["status"] == "False"


def test_a_namespace_is_no_port_scanner(attacker: arena_kit.Attacker) -> None:
    """Of many addresses that a namespace names three are connected to, then one a minute; no time is told (R6, R7)."""
    arena, began = attacker.arena, time.monotonic()
    with contextlib.ExitStack() as stack:
        scanned = [stack.enter_context(arena.serve(arena.starttls())) for _ in range(12)]
        password = arena.secret("port-scan-by-probes", username="robot")
        attacker.bring(password, endpoint=",".join(server.host for server in scanned))
        for number, server in enumerate(scanned):
            attacker.settings(attacker.own(server), name=f"port-{number}")
        for number in range(len(scanned)):
            attacker.until_known(f"port-{number}")
        _until_another_is_probed(arena)
        probed = sum(len(server.transcripts) for server in scanned)
        assert 1 <= probed <= _probes_since(began)
        found = [attacker.condition("Verified", name=f"port-{number}") for number in range(len(scanned))]
    assert sum(verified["reason"] == "ProbePending" for verified in found) >= len(scanned) - probed
    assert not [key for verified in found for key in verified if "probe" in key.lower()]


def test_a_change_is_no_reason_to_probe_more(attacker: arena_kit.Attacker) -> None:
    """However often settings change, their server is probed three times at once, then once a minute (R7)."""
    arena, began = attacker.arena, time.monotonic()
    with arena.serve(arena.starttls()) as server:
        attacker.bring(arena.secret("probe-as-often-as-it-changes", username="robot"), endpoint=server.host)
        for number in range(10):
            sender = {"address": f"robot-{number}@tenant.example"}
            attacker.settings(attacker.own(server, **{"from": sender}))
        wait.until(
            lambda: attacker.effective().get("from.address") == "robot-9@tenant.example",
            within_seconds=arena_kit.WITHIN,
            why="the last change is published",
        )
        wait.until(lambda: server.transcripts, within_seconds=arena_kit.WITHIN, why="the server was probed")
        _until_another_is_probed(arena)
        assert len(server.transcripts) <= _probes_since(began)


def _probes_since(began: float) -> int:
    """Return how many probes a namespace may have had since a reading of the monotonic clock."""
    return budget.BURST + int((time.monotonic() - began) / budget.EVERY_SECONDS)


def _until_another_is_probed(arena: arena_kit.Arena) -> None:
    """Return when an endpoint that was named after all others was probed, and so would they have been."""
    other = arena.attacker()
    with arena.serve(arena.starttls()) as server:
        other.bring(arena.secret("another's", username="robot"), endpoint=server.host)
        other.settings(other.own(server))
        other.until_reason("AuthNotOffered", type_="Verified")


def test_the_host_s_limit_holds_for_all_together(arena: arena_kit.Arena) -> None:
    """However many organizations send at once, the relay sees no more connections than the host allows (R3)."""
    attackers = [arena.attacker() for _ in range(8)]
    for attacker in attackers:
        attacker.settings({})
    arena.relay.script.on("RCPT TO:<slowly@", smtpd.Behaviour(delay_seconds=0.05))
    arena.relay.peak_connections = 0
    taken = [
        (attacker, attacker.post(arena_kit.ALERT | {"recipients": [f"slowly@{attacker.namespace}.example"]}))
        for attacker in attackers
        for _ in range(3)
    ]
    for attacker, answer in taken:
        attacker.until_states(answer, "accepted")
    # More than one, for they do send at once; a probe takes one of the host's three too.
    assert 2 <= arena.relay.peak_connections <= 3


@pytest.mark.parametrize("attack", [each for each in ATTACKS if isinstance(each, attacks.Refused)], ids=str)
def test_what_would_meet_others_is_not_taken(arena: arena_kit.Arena, attack: attacks.Refused) -> None:
    """Limits of somebody else's endpoint and names that could be cut are refused (R3)."""
    name = _NAMES.get(attack.name)
    if name is None:
        attack.check(arena.rest)
        return
    document = {"kind": names.ORG_KIND, "apiVersion": names.API_VERSION, "spec": {}}
    status, message = arena.rest.try_out(document | {"metadata": {"name": name, "namespace": "default"}})
    assert (status, attack.says in message) == (422, True), message
