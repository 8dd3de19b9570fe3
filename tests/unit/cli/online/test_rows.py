"""What an object's status comes to, and in which order it is told."""

import datetime as dt
import typing

import pytest

from mailtier.api import names, reasons
from mailtier.cli.online import rows

State = rows.RowState


def organization(
    name: str = "default",
    namespace: str = "acme",
    *,
    generation: int = 2,
    observed: int | None = 2,
    conditions: dict[str, tuple[str, str]] | None = None,
    **status: typing.Any,
) -> dict[str, typing.Any]:
    """Return an OrgEmailSettings with conditions as type to (status, reason)."""
    given = {"Ready": ("True", "Published")} if conditions is None else conditions
    return {
        "metadata": {"name": name, "namespace": namespace, "generation": generation},
        "spec": {},
        "status": {
            "observedGeneration": observed,
            "conditions": [
                {
                    "type": type_,
                    "status": value,
                    "reason": reason,
                    "message": f"{reason} is so.",
                    "lastTransitionTime": "2026-01-02T03:04:05Z",
                }
                for type_, (value, reason) in given.items()
            ],
            **status,
        },
    }


_READY = {"Ready": ("True", "Published")}
_AUDITED = {"Accepted": ("True", "WouldBlock")}
_STALLED = {"Ready": ("False", "CredentialsRequired"), "Stalled": ("True", "CredentialsRequired")}
_RECONCILING = {"Ready": ("False", "SecretNotFound"), "Reconciling": ("True", "SecretNotFound")}


@pytest.mark.parametrize(
    ("document", "state", "reason"),
    [
        (organization(), State.READY, "Published"),
        (organization(conditions=_STALLED), State.STALLED, "CredentialsRequired"),
        (organization(conditions=_RECONCILING), State.RECONCILING, "SecretNotFound"),
        (organization(observed=1), State.RECONCILING, "NotObserved"),
        (organization(observed=-1, conditions={}), State.RECONCILING, "NotObserved"),
        (organization(conditions={}), State.RECONCILING, "NotObserved"),
        (organization(conditions={"Ready": ("False", "HostMissing")}), State.RECONCILING, "HostMissing"),
        (organization(conditions={**_READY, "Verified": ("False", "TlsFailed")}), State.NOT_VERIFIED, "TlsFailed"),
        (organization(conditions={**_READY, "Verified": ("Unknown", "ProbePending")}), State.READY, "Published"),
        (organization(conditions={**_READY, "Linted": ("False", "Warnings")}), State.ADVICE, "Warnings"),
        (organization(conditions={**_READY, **_AUDITED}), State.WOULD_BLOCK, "WouldBlock"),
        (
            organization(conditions={**_READY, **_AUDITED, "Linted": ("False", "Warnings")}),
            State.WOULD_BLOCK,
            "WouldBlock",
        ),
        (
            organization(conditions={**_READY, "Linted": ("False", "Warnings"), "Verified": ("False", "TlsFailed")}),
            State.NOT_VERIFIED,
            "TlsFailed",
        ),
    ],
)
def test_the_worst_condition_decides(document: dict[str, typing.Any], state: rows.RowState, reason: str) -> None:
    """Stalled outweighs Reconciling, which outweighs a failed probe, which outweighs advice."""
    row = rows.Row.of(document)
    assert (row.state, row.reason) == (state, reason)


def test_an_object_that_goes_is_no_fault_of_its_settings() -> None:
    """What is being deleted is on its way, whatever its conditions say."""
    document = organization(conditions=_STALLED)
    document["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z"
    assert rows.Row.of(document).reason == "Terminating"


def test_an_object_without_any_status_is_not_observed() -> None:
    """An object that nobody has looked at yet is shown, and fails nothing."""
    row = rows.Row.of({"metadata": {"name": "default", "namespace": "acme", "generation": 1}, "spec": {}})
    assert (row.state, row.host, row.since) == (State.RECONCILING, "", None)


def test_the_worst_come_first_and_alike_by_name() -> None:
    """The order is that of the states, and the host stands before its like."""
    objects = [
        organization("b", "beta", conditions={**_READY, "Linted": ("False", "Warnings")}),
        organization("a", "beta", conditions=_RECONCILING),
        organization("z", "alpha", conditions=_RECONCILING),
        organization("c", "gamma", conditions=_STALLED),
        organization("d", "delta", conditions={**_READY, "Verified": ("False", "TlsFailed")}),
        organization("e", "epsilon"),
        organization("default", "", conditions=_RECONCILING),
    ]
    shown = [str(row) for row in rows.worst_first(map(rows.Row.of, objects))]
    assert shown == ["gamma/c", "HostEmailSettings default", "alpha/z", "beta/a", "delta/d", "beta/b"]


def picture(*found: rows.Row, host: rows.Row | None = None, **fields: typing.Any) -> rows.Picture:
    """Return a picture of organizations."""
    return rows.Picture(host=host, **{"host_missing": False, "pods": None, **fields}, organizations=found)


def test_totals_count_what_they_say() -> None:
    """Ready, stalled and reconciling add up; ready are also those whose server is dead or that have advice."""
    found = [
        rows.Row.of(organization("a", source="Host", state="Active")),
        rows.Row.of(organization("b", source="Mixed", state="Blocked", conditions=_STALLED)),
        rows.Row.of(
            organization(
                "e", state="Active", conditions={**_READY, "Stalled": ("True", "ConfigMapConflict"), **_AUDITED}
            )
        ),
        # Of what is not ready nobody asks yet whether a probe has reported on it.
        rows.Row.of(organization("f", conditions={**_RECONCILING, "Verified": ("Unknown", "ProbePending")})),
        rows.Row.of(organization("c", source="Org", conditions={**_READY, "Verified": ("False", "TlsFailed")})),
        rows.Row.of(organization("d", source="Host", conditions={**_READY, "Linted": ("False", "Warnings")})),
        rows.Row.of(organization("g", conditions={**_READY, "Verified": ("Unknown", "ProbePending")})),
        rows.Row.of(organization("h", conditions={"Ready": ("True", "Suspended")})),
    ]
    totals = picture(*found).totals
    assert totals == rows.Totals(
        organizations=8,
        ready=5,
        stalled=2,
        reconciling=1,
        not_verified=1,
        pending=1,
        suspended=1,
        with_advice=1,
        would_be_blocked=1,
        overriding=2,
    )
    assert totals.ready + totals.stalled + totals.reconciling == totals.organizations


def test_what_is_suspended_is_told_and_is_no_fault() -> None:
    """Mail that is held on purpose is a row, also of what the policy would block, and the exit status is 0."""
    found = picture(rows.Row.of(organization(conditions={"Ready": ("True", "Suspended"), **_AUDITED})))
    assert [str(row.state) for row in found.remarkable] == ["Suspended", "WouldBlock"]
    assert not found.is_broken


def test_a_queue_that_is_held_since_it_was_restored_is_broken() -> None:
    """The host's settings are well, and somebody has to say that mail goes on: what to do stands there."""
    document = organization("default", "", queue={"restoredFrom": "2026-03-01T12:00:00Z"})
    found = picture(host=rows.Row.of(document))
    (row,) = found.remarkable
    assert (str(row), str(row.state), row.reason) == ("HostEmailSettings default", "Held", "Restored")
    assert "mailtier queue resume" in row.message
    assert "2026-03-01T12:00:00Z" in row.message
    assert found.is_broken


def test_a_queue_of_which_nothing_is_heard_is_broken() -> None:
    """A database that is away is seen by whoever asks how things stand, with since when it is."""
    document = organization("default", "", queue={"unansweredSince": "2026-03-01T12:00:00Z"})
    found = picture(host=rows.Row.of(document))
    (row,) = found.remarkable
    assert (str(row), str(row.state), row.reason) == ("HostEmailSettings default", "Stalled", "SenderUnavailable")
    assert "Since 2026-03-01T12:00:00Z" in row.message
    assert found.is_broken


def test_whatever_the_policy_would_block_is_a_row_of_its_own() -> None:
    """Each is named with its message, after what is broken, also where something else is worse."""
    found = [
        rows.Row.of(organization("a", conditions={**_READY, **_AUDITED})),
        rows.Row.of(organization("b", conditions={**_READY, **_AUDITED, "Verified": ("False", "TlsFailed")})),
        rows.Row.of(organization("c", conditions={**_READY, "Linted": ("False", "Warnings")})),
        rows.Row.of(organization("d")),
    ]
    told = [(row.name, str(row.state), row.message) for row in picture(*found).remarkable]
    assert told == [
        ("b", "NotVerified", "TlsFailed is so."),
        ("a", "WouldBlock", "WouldBlock is so."),
        ("b", "WouldBlock", "WouldBlock is so."),
        ("c", "Advice", "Warnings is so."),
    ]


@pytest.mark.parametrize(
    ("conditions", "broken"),
    [
        (_READY, False),
        ({**_READY, "Linted": ("False", "Warnings")}, False),
        ({**_READY, **_AUDITED}, False),
        ({**_READY, "Verified": ("False", "TlsFailed")}, True),
        (_RECONCILING, True),
        (_STALLED, True),
    ],
)
def test_advice_alone_breaks_nothing(conditions: dict[str, tuple[str, str]], broken: bool) -> None:
    """The exit status follows what somebody should mend."""
    assert picture(rows.Row.of(organization(conditions=conditions))).is_broken is broken


def test_a_missing_host_and_a_dead_pod_are_broken() -> None:
    """No HostEmailSettings is a fault, and so is that no pod is ready, for whoever may see the pods."""
    dead = rows.Pod(name="mailtier-0", containers={"operator": True, "sender": False})
    assert picture(host_missing=True).is_broken
    assert picture(pods=[dead]).is_broken
    assert not picture(pods=[dead, rows.Pod(name="mailtier-1", containers={"operator": True})]).is_broken
    assert picture(pods=[]).is_broken
    assert not picture(pods=None).is_broken


def test_of_one_namespace_only_what_is_in_it_counts() -> None:
    """Whoever looks at their namespace is not told by the exit status that the host or a pod is broken."""
    dead = rows.Pod(name="mailtier-0", containers={"operator": False})
    host = rows.Row.of(organization("default", "", conditions=_STALLED))
    well, ill = rows.Row.of(organization()), rows.Row.of(organization(conditions=_STALLED))
    assert not picture(well, host=host, host_missing=True, pods=[dead], namespace="acme").is_broken
    assert picture(well, host=host, pods=[dead]).is_broken
    assert picture(ill, namespace="acme").is_broken


def test_who_leads_without_a_pod_works() -> None:
    """Where Mailtier runs outside of the cluster, whoever renewed the Lease lately stands for its pods."""
    now = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    lease = {"spec": {"holderIdentity": "laptop", "renewTime": "2026-01-02T03:04:00.000000Z"}}
    assert rows.leader(lease, now) == "laptop"
    assert rows.leader(lease, now + dt.timedelta(minutes=5)) == ""
    assert rows.leader({}, now) == rows.leader({"spec": {"holderIdentity": "laptop"}}, now) == ""
    assert not picture(pods=[], leader="laptop").is_broken
    assert picture(pods=[]).is_broken


def test_an_organization_without_an_object_is_read_from_its_config_map() -> None:
    """Its conditions stand there as lines, and its values under their paths."""
    data = {
        "state": "Active",
        "source": "Host",
        "smtp.host": "relay.example.com",
        "smtp.port": "587",
        "smtp.tls.mode": "StartTLS",
        "from.address": "no-reply@example.com",
        "conditions": "Accepted=True Accepted: Yes.\nReady=True Published: Yes.\nVerified=False TlsFailed: No.\n",
    }
    labels = {names.NAMESPACE_LABEL: "fern", names.ORGANIZATION_LABEL: "default"}
    row = rows.Row.of_config_map({"metadata": {"name": "fern.default", "labels": labels}, "data": data})
    assert row is not None
    assert (str(row), row.state, row.reason, row.is_implicit) == ("fern/default", State.NOT_VERIFIED, "TlsFailed", True)
    assert (row.host, row.tls, row.from_address) == ("relay.example.com:587", "StartTLS", "no-reply@example.com")
    del data["conditions"]
    assert rows.Row.of_config_map({"metadata": {"name": "fern.default", "labels": labels}, "data": data}) is None


def test_every_reason_that_the_program_knows_has_its_remedy() -> None:
    """The document's remedy is the runbook's."""
    for reason in reasons.ALL:
        row = rows.Row.of(organization(conditions={"Ready": ("False", reason.name), "Stalled": ("True", reason.name)}))
        assert rows.remedy(row) == reason.remedy
