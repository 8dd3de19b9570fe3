"""The same settings with the two servers of their group `smtp` in each other's place.

Whatever holds for the first server holds for its fallback: rules are not written twice, but asked twice, once with the
fallback where the first server stands. Nothing is lost by it: the first one is the other's fallback then.
"""

from mailtier.api import groups, settings


def swap_host(host: settings.HostSpec | None) -> settings.HostSpec | None:
    """Return the host's settings with its fallback in place of its server; None where it has none."""
    if host is None or host.smtp is None or host.smtp.fallback is None:
        return None
    own = host.smtp.fallback.auth
    auth = host.auth
    if own is not None:
        # What the host accepts of its first credentials it does not accept of others.
        auth = settings.HostAuth.model_construct(**{name: getattr(own, name) for name in type(own).model_fields})
    return host.model_copy(update={"smtp": _swap(host.smtp, host.smtp.fallback, host.auth), "auth": auth})


def swap_org(org: settings.OrgSpec) -> settings.OrgSpec | None:
    """Return an organization's settings with its fallback in place of its server; None where it has none."""
    if org.smtp is None or org.smtp.fallback is None:
        return None
    auth = org.smtp.fallback.auth or org.auth
    return org.model_copy(update={"smtp": _swap(org.smtp, org.smtp.fallback, org.auth), "auth": auth})


def _swap(smtp: groups.Smtp, fallback: groups.Fallback, auth: groups.Auth | None) -> groups.Smtp:
    # Not validated: what is no valid fallback for the other, such as one without TLS, may be the first server all
    # the same.
    first = groups.Fallback.model_construct(host=smtp.host, port=smtp.port, tls=smtp.tls, auth=auth)
    return groups.Smtp.model_construct(host=fallback.host, port=fallback.port, tls=fallback.tls, fallback=first)
