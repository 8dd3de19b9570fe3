"""The condition Linted: what a mail administrator would say of settings that work."""

import datetime as dt
from typing import Final

from mailtier.api import feed, prose, reasons, vocabulary
from mailtier.settings import effective, resolve, transitions
from mailtier.settings.lints import catalogue, terms

_REASONS: Final = {
    terms.LintSeverity.ERROR: reasons.ERRORS,
    terms.LintSeverity.WARNING: reasons.WARNINGS,
    terms.LintSeverity.INFO: reasons.NOTES,
}


def condition(resolution: resolve.Resolution, probe: feed.Probe | None, now: dt.datetime) -> transitions.Wanted:
    """Return the condition Linted of settings.

    Args:
        resolution: What they come to.
        probe: The probe that speaks of exactly them; None without one.
        now: Aware UTC time, for what comes to its end. No message counts days, or each day would write a status.
    """
    type_ = vocabulary.Condition.LINTED
    if resolution.references == resolve.References.NOT_READ:
        return transitions.Wanted(
            type=type_,
            status="Unknown",
            reason=reasons.NOT_LINTED,
            message=prose.sentences(reasons.NOT_LINTED.meaning, reasons.NOT_LINTED.remedy),
        )
    found = catalogue.run(subject(resolution, probe, now))
    if not found:
        return transitions.Wanted(
            type=type_, status="True", reason=reasons.NO_FINDINGS, message=reasons.NO_FINDINGS.meaning
        )
    # The worst comes first.
    reason = _REASONS[found[0].severity]
    return transitions.Wanted(
        type=type_,
        status="True" if reason == reasons.NOTES else "False",
        reason=reason,
        message=" ".join(_sentence(finding) for finding in found),
    )


def subject(resolution: resolve.Resolution, probe: feed.Probe | None, now: dt.datetime) -> terms.Subject:
    """Return what lints look at.

    Args:
        resolution: What the settings come to.
        probe: The probe that speaks of exactly them; None without one, and offline.
        now: Aware UTC time.
    """
    settings: effective.Effective = resolution.effective
    return terms.Subject(
        viewer=resolution.viewer,
        organization=settings.organization,
        effective=settings,
        host=resolution.host,
        org=resolution.org,
        certificate_expires_at=None if probe is None else probe.certificate_expires_at,
        client_certificate_expires_at=resolution.certificate_expires_at,
        now=now,
    )


def _sentence(finding: terms.LintFinding) -> str:
    field = f"{finding.field}: " if finding.field else ""
    return prose.closed(f"{finding.severity} {finding.lint.identifier}: {field}{finding.message}")
