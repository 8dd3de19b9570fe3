"""What an organization's fallback is, and how what is found of it is told below `spec.smtp.fallback`.

The rules do not know of it: they are asked again, with the fallback in place of the first server (`api.alternates`).
"""

import dataclasses
from collections.abc import Mapping

from mailtier.api import alternates, settings, vocabulary
from mailtier.settings import effective

_PATH = "smtp.fallback"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SwappedTiers:
    """The two tiers with the fallback in place of the first server.

    Attributes:
        has_own_auth: Whether the fallback names credentials of its own.
    """

    host: settings.HostSpec | None
    org: settings.OrgSpec
    has_own_auth: bool


def swap(host: settings.HostSpec | None, org: settings.OrgSpec) -> SwappedTiers | None:
    """Return the tiers with the fallback in use in place of the first server; None where there is none.

    The host's is inherited with all of the host's server. An organization that authenticates there itself has none: its
    account is one on the first server, and the host's credentials are not for it.
    """
    if org.smtp is not None:
        own = alternates.swap_org(org)
        if own is None or org.smtp.fallback is None:
            return None
        return SwappedTiers(host=host, org=own, has_own_auth=org.smtp.fallback.auth is not None)
    swapped = alternates.swap_host(host)
    if org.auth is not None or host is None or host.smtp is None or host.smtp.fallback is None:
        return None
    return SwappedTiers(host=swapped, org=org, has_own_auth=host.smtp.fallback.auth is not None)


def moved(finding: effective.Finding, *, has_own_auth: bool) -> effective.Finding:
    """Return a finding of the fallback under the path of what it is about."""
    path = _moved(finding.field.removeprefix("spec."), has_own_auth=has_own_auth)
    return dataclasses.replace(finding, field=f"spec.{path}" if finding.field else "")


def provenance(of_fallback: Mapping[str, vocabulary.Origin], *, has_own_auth: bool) -> Mapping[str, vocabulary.Origin]:
    """Return where the values of a fallback came from, by their paths.

    Args:
        of_fallback: By the paths that they have in place of the first server.
        has_own_auth: Whether it names credentials of its own; else those are the first server's, and listed there.
    """
    heads = ("smtp.", "auth.") if has_own_auth else ("smtp.",)
    return {
        _moved(path, has_own_auth=has_own_auth): origin
        for path, origin in of_fallback.items()
        if path.startswith(heads)
    }


def _moved(path: str, *, has_own_auth: bool) -> str:
    if path == "smtp" or path.startswith("smtp."):
        return _PATH + path.removeprefix("smtp")
    if has_own_auth and (path == "auth" or path.startswith("auth.")):
        return f"{_PATH}.{path}"
    return path
