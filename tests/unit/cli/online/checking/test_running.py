"""What runs, who leads, and whose clock is wrong."""

import datetime as dt
import typing

import pytest

from mailtier.cli.online.checking import findings, running

NOW = dt.datetime(2026, 11, 24, 10, 0, tzinfo=dt.UTC)
V = findings.Verdict


def _text(seconds: float) -> str:
    return (NOW + dt.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _pod(*statuses: dict[str, typing.Any], **volume: typing.Any) -> dict[str, typing.Any]:
    return {
        "metadata": {"name": "mailtier-0"},
        "spec": {"volumes": [{"name": "queue", **volume}]},
        "status": {"containerStatuses": list(statuses)},
    }


def _status(name: str, *, ready: bool = True, **more: typing.Any) -> dict[str, typing.Any]:
    return {"name": name, "ready": ready, "restartCount": 3, **more}


def _ended(seconds: float) -> dict[str, typing.Any]:
    return {"lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": _text(seconds)}}}


def _lease(*, renewed: float, written: float | None = None, holder: str = "mailtier-0") -> dict[str, typing.Any]:
    at = renewed if written is None else written
    return {
        "metadata": {"managedFields": [{"time": _text(-86_400)}, {"time": _text(at)}]},
        "spec": {"holderIdentity": holder, "renewTime": _text(renewed), "leaseDurationSeconds": 15},
    }


def test_pods_that_are_ready_are_one_line() -> None:
    """What was restarted long ago is no news."""
    pod = _pod(_status("operator"), _status("sender", **_ended(-7_200)))
    (told,) = running.pods([pod], namespace="system", now=NOW)
    assert (told.verdict, told.message) == (V.OK, "Ready: mailtier-0.")


def test_what_is_not_ready_says_why() -> None:
    """By what the kubelet says: what it waits for, how it ended, or what keeps the pod from a node."""
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image."}}}
    pod = _pod(_status("operator", ready=False, **waiting), _status("sender", ready=False, **_ended(-60)))
    first, second = running.pods([pod], namespace="system", now=NOW)
    assert (first.verdict, second.verdict) == (V.FAILED, V.FAILED)
    assert "ImagePullBackOff: no such image" in first.message
    assert "it ended with 137 (OOMKilled)" in second.message
    unscheduled = _pod()
    unscheduled["status"]["conditions"] = [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes fit."}]
    assert all("0/3 nodes fit" in each.message for each in running.pods([unscheduled], namespace="system", now=NOW))
    (none,) = running.pods([], namespace="system", now=NOW)
    assert (none.verdict, "--operator-namespace" in none.remedy) == (V.FAILED, True)


def test_a_restart_within_the_hour_is_a_warning() -> None:
    """It runs again, and somebody should know why it ended."""
    warned, fine = running.pods([_pod(_status("operator"), _status("sender", **_ended(-60)))], namespace="n", now=NOW)
    assert (warned.verdict, fine.verdict) == (V.WARNING, V.OK)
    assert "3 restarts in all" in warned.message


@pytest.mark.parametrize(
    ("lease", "verdict", "told"),
    [
        (_lease(renewed=-2), V.OK, "mailtier-0 leads"),
        (_lease(renewed=-24), V.OK, "mailtier-0 leads"),
        (_lease(renewed=-26), V.FAILED, "renewed the Lease last at 2026-11-24T09:59:34Z"),
        (_lease(renewed=-1, holder=""), V.FAILED, "gave the Lease up"),
        ({"metadata": {}}, V.FAILED, "gave the Lease up"),
        (None, V.FAILED, "does not exist"),
    ],
)
def test_a_leader_renews_the_lease(lease: typing.Any, verdict: findings.Verdict, told: str) -> None:
    """One that has not for longer than the Lease lasts does not lead any more."""
    found = running.leader(lease, namespace="system", now=NOW)
    assert (found.verdict, told in found.message) == (verdict, True)


def test_clocks_are_compared_where_both_told_the_time_of_one_moment() -> None:
    """The pod's by the Lease that it wrote, this machine's by the API server's answer."""
    (well,) = running.clock(_lease(renewed=-2), api_time=NOW, now=NOW)
    assert well.verdict is V.OK
    (ahead,) = running.clock(_lease(renewed=90, written=-2), api_time=NOW, now=NOW)
    assert (ahead.verdict, "92 s ahead of" in ahead.message) == (V.FAILED, True)
    _, mine = running.clock(_lease(renewed=-2), api_time=NOW, now=NOW - dt.timedelta(minutes=5))
    assert (mine.verdict, "this machine is 300 s behind" in mine.message) == (V.WARNING, True)
    (unknown,) = running.clock(None, api_time=None, now=NOW)
    assert unknown.verdict is V.UNKNOWN


@pytest.mark.parametrize(
    ("pod", "claims", "verdict"),
    [
        (_pod(persistentVolumeClaim={"claimName": "queue-0"}), {"queue-0": {"status": {"phase": "Bound"}}}, V.OK),
        (_pod(persistentVolumeClaim={"claimName": "queue-0"}), {"queue-0": {"status": {"phase": "Lost"}}}, V.FAILED),
        (_pod(persistentVolumeClaim={"claimName": "queue-0"}), {"queue-0": None}, V.FAILED),
        (_pod(persistentVolumeClaim={"claimName": "queue-0"}), None, V.UNKNOWN),
        (_pod(emptyDir={}), {}, V.WARNING),
    ],
)
def test_the_queue_is_on_a_volume_that_stays(
    pod: dict[str, typing.Any], claims: typing.Any, verdict: findings.Verdict
) -> None:
    """A claim that is not bound keeps the pod from starting, and without any the queue goes with the pod."""
    (told,) = running.volumes([pod], claims, namespace="system")
    assert told.verdict is verdict


def test_a_queue_in_postgres_needs_no_volume() -> None:
    """The chart mounts the database's address then."""
    pod = _pod(emptyDir={})
    pod["spec"]["volumes"].append({"name": "queue-dsn"})
    (told,) = running.volumes([pod], {}, namespace="system")
    assert (told.verdict, "Postgres" in told.message) == (V.OK, True)
