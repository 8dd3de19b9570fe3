"""Verified, and which server takes the mail: what the sender's probes found of a server, and of its fallback."""

import dataclasses
import datetime as dt
from typing import Final

from mailtier.api import feed, prose, reasons, vocabulary
from mailtier.settings import codec, effective, resolve, transitions
from mailtier.settings.providers import catalogue

_ORG: Final = vocabulary.Origin.ORG
_PLATFORM: Final = "The platform team finds more in the status of HostEmailSettings default."
_WORST_FIRST: Final = ("False", "Unknown", "True")


def condition(
    resolution: resolve.Resolution, probe: feed.Probe | None, fallback_probe: feed.Probe | None
) -> transitions.Wanted:
    """Return Verified: of two servers, the one that is worse gives the reason.

    A fallback that does not work is found so while nobody needs it.

    Args:
        resolution: What the settings come to.
        probe: The last probe of the first server; None without one.
        fallback_probe: The last probe of the fallback.
    """
    first = _of_server(resolution, relevant_probe(resolution, probe), probe)
    settings = resolution.effective.at_fallback()
    if settings is None or settings.state != effective.State.ACTIVE:
        return first
    there = dataclasses.replace(resolution, effective=settings)
    other = _of_server(there, relevant_probe(there, fallback_probe), fallback_probe)
    since = None if probe is None else probe.fallback_since
    turned = "" if since is None else f"Since {transitions.timestamp(since)} smtp.fallback takes the mail."
    if _WORST_FIRST.index(other.status) < _WORST_FIRST.index(first.status):
        return dataclasses.replace(other, message=prose.sentences(f"smtp.fallback: {other.message}", turned))
    told = ""
    if other.status == "False":
        told = f"smtp.fallback: {other.message}"
    elif other.status == first.status == "True":
        told = "The same goes for smtp.fallback."
    return dataclasses.replace(first, message=prose.sentences(first.message, turned, told))


def server_in_use(probe: feed.Probe | None) -> dict[str, str]:
    """Return `status.server` of settings with a fallback.

    Args:
        probe: The last probe of the first server; None without one.
    """
    since = None if probe is None else probe.fallback_since
    if since is None:
        return {"inUse": "First"}
    return {"inUse": "Fallback", "since": transitions.timestamp(since)}


def relevant_probe(resolution: resolve.Resolution, probe: feed.Probe | None) -> feed.Probe | None:
    """Return a probe if it speaks of exactly these settings and this version of the Secret."""
    settings = resolution.effective
    if probe is None or settings.state != effective.State.ACTIVE or settings.auth is None:
        return None
    is_of_them = probe.secret_version == settings.auth.version
    return probe if is_of_them and probe.key == codec.probe_key(settings) else None


def _of_server(
    resolution: resolve.Resolution, probe: feed.Probe | None, latest: feed.Probe | None
) -> transitions.Wanted:
    type_, settings = vocabulary.Condition.VERIFIED, resolution.effective
    endpoint, auth = settings.endpoint, settings.auth
    if settings.state != effective.State.ACTIVE or endpoint is None or auth is None:
        return _unknown(reasons.NOT_PROBED)
    if probe is None or probe.reason == reasons.PROBE_PENDING.name:
        return _unknown(reasons.PROBE_PENDING, _tell_next(latest))
    reason = reasons.BY_NAME[probe.reason]
    inherited = resolution.viewer == _ORG and endpoint.origin != _ORG
    sentences = [prose.closed(probe.tenant_message if inherited else probe.owner_message)]
    if reason == reasons.VERIFIED:
        status = "True"
        if probe.certificate_expires_at is not None and not inherited:
            until = probe.certificate_expires_at.strftime("%Y-%m-%d")
            sentences.append(f"The server's certificate is valid until {until}.")
    else:
        # What can be done about the host's server, the platform team can do; one's own password, oneself.
        status = "False"
        is_own = not inherited or (auth.origin == _ORG and probe.stage == vocabulary.ProbeStage.AUTH)
        sentences.append(catalogue.further_remedy(reason, probe.owner_message) if is_own else _PLATFORM)
    return transitions.Wanted(
        type=type_, status=status, reason=reason, message=prose.sentences(*sentences, _tell_next(probe))
    )


def _tell_next(probe: feed.Probe | None) -> str:
    """Return when the namespace may have its next probe, where it has to wait for it."""
    if probe is None or probe.next_at is None:
        return ""
    # A fraction of a second later rather than too early.
    next_at = (probe.next_at + dt.timedelta(microseconds=999_999)).strftime("%H:%M:%S")
    return f"The namespace's next probe may begin at {next_at} UTC."


def _unknown(reason: reasons.Reason, *more: str) -> transitions.Wanted:
    return transitions.Wanted(
        type=vocabulary.Condition.VERIFIED,
        status="Unknown",
        reason=reason,
        message=prose.sentences(reason.meaning, reason.remedy, *more),
    )
