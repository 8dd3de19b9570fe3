"""What the status of the settings says: of DNS, the way to the host's server, its certificate and its login; pure.

The sender probes the host's server from its pod all the time, and its operator writes what came of it: what DNS and
network look like from there is known without asking for anything.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mailtier.api import prose, reasons, vocabulary
from mailtier.cli.online.checking import findings

_S: Final = vocabulary.ProbeStage

_CHECKS: Final[Mapping[vocabulary.ProbeStage, tuple[str, str]]] = {
    _S.DNS: ("DNS", "The pod resolves the name of the host's server."),
    _S.TCP: ("Egress", "The pod reaches the host's server."),
    _S.TLS: ("TLS", "The host's server protects the connection, and its certificate is trusted."),
    _S.EHLO: ("SMTP", "The host's server greets the sender."),
    _S.AUTH: ("Login", "The host's server takes the login, or needs none."),
    _S.MAIL: ("Sender address", "The host's server accepts the sender address."),
}
"""The check of each stage of a probe, in their order, and what is so where it went well."""

_STAGES: Final[Mapping[reasons.Reason, vocabulary.ProbeStage]] = {
    reasons.DNS_FAILED: _S.DNS,
    reasons.NAME_NOT_ABSOLUTE: _S.DNS,
    reasons.ADDRESS_DENIED: _S.DNS,
    reasons.CONNECT_FAILED: _S.TCP,
    reasons.TLS_FAILED: _S.TLS,
    reasons.TLS_NOT_SPOKEN: _S.TLS,
    reasons.TLS_EXPECTED: _S.TLS,
    reasons.TLS_TOO_OLD: _S.TLS,
    reasons.TLS_NO_COMMON_CIPHER: _S.TLS,
    reasons.STARTTLS_NOT_OFFERED: _S.TLS,
    reasons.GREETING_FAILED: _S.EHLO,
    reasons.EHLO_FAILED: _S.EHLO,
    reasons.CLIENT_NAME_REFUSED: _S.EHLO,
    reasons.AUTH_FAILED: _S.AUTH,
    reasons.AUTH_NOT_OFFERED: _S.AUTH,
    reasons.PROMPT_NOT_RECOGNIZED: _S.AUTH,
    reasons.TOKEN_FAILED: _S.AUTH,
    reasons.TOKEN_REFUSED: _S.AUTH,
    reasons.AUTH_REQUIRED: _S.MAIL,
    reasons.SENDER_REFUSED: _S.MAIL,
    reasons.RELAY_DENIED: _S.MAIL,
}
"""The stage at which each of these is met; the others may be met at several."""


def judge(host: Mapping[str, Any] | None) -> Iterator[findings.CheckFinding]:
    """Yield what is to be said of the host's settings.

    Args:
        host: The HostEmailSettings; None where there are none.
    """
    if host is None:
        yield findings.failed(
            "Host settings",
            "There is no HostEmailSettings.",
            "Write one with `mailtier init`, and apply it.",
        )
        return
    status = host.get("status") or {}
    if status.get("observedGeneration") != host["metadata"].get("generation"):
        yield findings.failed(
            "Host settings", "The operator has not looked at the host's settings yet.", "Wait; then look at its log."
        )
        return
    conditions = {each["type"]: each for each in status.get("conditions") or ()}
    yield from _ready(conditions.get("Ready") or {})
    tls = ((status.get("effective") or {}).get("smtp") or {}).get("tls") or {}
    yield from _probe(conditions.get("Verified") or {}, is_protected=tls.get("mode") != vocabulary.TlsMode.DISABLED)
    linted = conditions.get("Linted") or {}
    if linted.get("status") == "False":
        yield findings.warning("Advice", str(linted["message"]), "")
    yield from _queue(status.get("queue") or {})
    yield from _organizations(status.get("summary") or {})


def _ready(condition: Mapping[str, Any]) -> Iterator[findings.CheckFinding]:
    if condition.get("status") == "True":
        yield findings.ok("Host settings", "They are valid, and published to the sender.")
    else:
        told = f"{condition.get('reason', '')}: {condition.get('message', '')}"
        yield findings.failed("Host settings", told, "")


def _probe(condition: Mapping[str, Any], *, is_protected: bool) -> Iterator[findings.CheckFinding]:
    reason, message = str(condition.get("reason", "")), str(condition.get("message", ""))
    checks = {stage: told for stage, told in _CHECKS.items() if stage != _S.TLS or is_protected}
    if condition.get("status") == "True":
        yield from (findings.ok(*told) for told in checks.values())
        return
    if condition.get("status") != "False":
        yield findings.unknown("Host server", message, "Run this again soon, or `mailtier verify --host`.")
        return
    known = reasons.BY_NAME.get(reason)
    failed_at = None if known is None else _STAGES.get(known)
    if failed_at is None:
        yield findings.failed("Host server", f"{reason}: {message}", _again(known, message))
        return
    for stage, (check, well) in _CHECKS.items():
        if stage == failed_at:
            yield findings.failed(check, f"{reason}: {message}", _again(known, message))
            return
        # A server that does not greet may not have come to TLS.
        if stage in checks and (stage, failed_at) != (_S.TLS, _S.EHLO):
            yield findings.ok(check, well)


def _again(reason: reasons.Reason | None, message: str) -> str:
    """Return what to do, as far as the message does not say it, and how to see whether it helped."""
    remedy = reason.remedy if reason is not None and reason.remedy not in message else ""
    return " ".join(filter(None, (remedy, "Then run `mailtier verify --host`.")))


def _queue(queue: Mapping[str, Any]) -> Iterator[findings.CheckFinding]:
    if since := queue.get("unansweredSince"):
        yield findings.failed(
            "Queue",
            f"Since {since} the sender has not answered, or the queue's database has not answered it.",
            "Look at the sender's log and, where the queue is in Postgres, at the database.",
        )
    if made_at := queue.get("restoredFrom"):
        yield findings.failed(
            "Queue",
            f"The queue was restored from a backup of {made_at}, and all mail is held.",
            "Run `mailtier queue resume` once nothing else delivers from the same queue.",
        )
    if held := queue.get("held"):
        yield findings.warning(
            "Backlog",
            f"{held} recipients or more are held until something is mended.",
            "See with `kubectl get oes -A -o wide` whose they are, and with `mailtier status` why.",
        )


def _organizations(summary: Mapping[str, Any]) -> Iterator[findings.CheckFinding]:
    total, ready = summary.get("organizations"), summary.get("ready")
    if not isinstance(total, int) or not isinstance(ready, int):
        return
    if ready < total:
        told = f"{total - ready} of {prose.counted(total, 'organization')} are not ready."
        yield findings.warning("Organizations", told, "See with `mailtier status` which, and what each needs.")
    else:
        yield findings.ok("Organizations", f"All of {prose.counted(total, 'organization')} are ready.")
