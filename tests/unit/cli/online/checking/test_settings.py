"""What the status of the host's settings says of DNS, network, certificate and login."""

import typing

import pytest

from mailtier.api import reasons
from mailtier.cli.online.checking import findings, settings

V = findings.Verdict


def _host(verified: tuple[str, str] = ("True", "Verified"), **status: typing.Any) -> dict[str, typing.Any]:
    conditions = [
        {"type": "Ready", "status": "True", "reason": "Published", "message": "All well."},
        {"type": "Verified", "status": verified[0], "reason": verified[1], "message": "It is as it is."},
    ]
    return {
        "metadata": {"generation": 2},
        "status": {
            "observedGeneration": 2,
            "conditions": conditions,
            "summary": {"organizations": 3, "ready": 3},
            "effective": {"smtp": {"tls": {"mode": "StartTLS"}}},
            **status,
        },
    }


def _verdicts(host: dict[str, typing.Any] | None) -> dict[str, findings.Verdict]:
    return {each.check: each.verdict for each in settings.judge(host)}


_STAGES = ["DNS", "Egress", "TLS", "SMTP", "Login", "Sender address"]
_OTHERS = {"Host settings": V.OK, "Organizations": V.OK}


def test_a_probe_that_went_through_is_every_stage() -> None:
    """What the sender's pod finds is known from status, and nothing has to be asked."""
    assert _verdicts(_host()) == dict.fromkeys(_STAGES, V.OK) | _OTHERS
    plain = _host(effective={"smtp": {"tls": {"mode": "Disabled"}}})
    assert "TLS" not in _verdicts(plain)


@pytest.mark.parametrize(
    ("reason", "stages"),
    [
        ("DnsFailed", {"DNS": V.FAILED}),
        ("ConnectFailed", {"DNS": V.OK, "Egress": V.FAILED}),
        ("TlsFailed", {"DNS": V.OK, "Egress": V.OK, "TLS": V.FAILED}),
        ("GreetingFailed", {"DNS": V.OK, "Egress": V.OK, "SMTP": V.FAILED}),
        ("AuthFailed", {"DNS": V.OK, "Egress": V.OK, "TLS": V.OK, "SMTP": V.OK, "Login": V.FAILED}),
        ("TimedOut", {"Host server": V.FAILED}),
        ("NewerThanThisProgram", {"Host server": V.FAILED}),
    ],
)
def test_a_probe_that_failed_is_the_stages_before_and_what_to_do(
    reason: str, stages: dict[str, findings.Verdict]
) -> None:
    """The stage is known by the reason; what may be met at several is told of the server as a whole."""
    assert _verdicts(_host(("False", reason))) == stages | _OTHERS
    (failed,) = [each for each in settings.judge(_host(("False", reason))) if each.verdict is V.FAILED]
    assert "`mailtier verify --host`" in failed.remedy
    if reason in reasons.BY_NAME:
        assert reasons.BY_NAME[reason].remedy in failed.remedy


def test_what_nobody_knows_yet_is_unknown() -> None:
    """A probe that is on its way is no fault."""
    assert _verdicts(_host(("Unknown", "ProbePending"))) == {"Host server": V.UNKNOWN} | _OTHERS


def test_settings_that_are_missing_or_were_not_looked_at_have_failed() -> None:
    """Nothing else is said of them then."""
    assert _verdicts(None) == {"Host settings": V.FAILED}
    assert _verdicts(_host(observedGeneration=1)) == {"Host settings": V.FAILED}


def test_what_status_says_of_the_queue_and_the_organizations_is_told() -> None:
    """Held mail and organizations that are not ready are somebody's to look at; a queue that stands still is broken."""
    queue = {"held": 20, "queued": 5, "restoredFrom": "2026-11-24T10:00:00Z"}
    found = _verdicts(_host(queue=queue, summary={"organizations": 3, "ready": 1}))
    assert (found["Queue"], found["Backlog"], found["Organizations"]) == (V.FAILED, V.WARNING, V.WARNING)
    assert _verdicts(_host(queue={"unansweredSince": "2026-11-24T10:00:00Z"}))["Queue"] is V.FAILED
