"""Effective settings as people read them: nested as in a status, or flat as in a ConfigMap."""

from typing import Any

from mailtier.api import types, vocabulary
from mailtier.settings import effective, tiers

_HOST, _ORG = vocabulary.Origin.HOST, vocabulary.Origin.ORG


def nest(settings: effective.Effective, *, viewer: vocabulary.Origin) -> dict[str, Any]:
    """Return the values in the shape of `status.effective`, each under the path that it has in `spec`.

    Args:
        settings: The effective settings.
        viewer: Who reads it. An organization sees no username and no CA of an endpoint that it inherits, and no
            Secret of the host's (R7).
    """
    endpoint, auth, from_ = settings.endpoint, settings.auth, settings.from_
    nested: dict[str, Any] = {
        "delivery": _delivery(settings.delivery),
        "notifications": {
            tiers.CATEGORY_PATHS[category]: _category(category, values)
            for category, values in settings.notifications.items()
        },
    }
    if endpoint is not None:
        nested["smtp"] = _server(endpoint, auth, viewer)
    if endpoint is not None and auth is not None:
        nested["auth"] = _auth(endpoint, auth, viewer)
    if settings.fallback is not None:
        there = settings.fallback
        shown = _server(there.endpoint, there.auth, viewer)
        if has_own_auth(settings):
            shown["auth"] = _auth(there.endpoint, there.auth, viewer)
        nested["smtp"]["fallback"] = shown
    if from_ is not None:
        sender = {
            "address": from_.address,
            "displayName": from_.display_name,
            "replyTo": from_.reply_to,
            "envelope": from_.envelope,
        }
        nested["from"] = {name: value for name, value in sender.items() if value is not None}
    quota = {
        "queuedMessages": settings.quota.queued_messages,
        "queuedBytes": settings.quota.queued_bytes,
        "ratePerMinute": settings.quota.rate_per_minute,
    }
    if any(value is not None for value in quota.values()):
        nested["quota"] = {name: value for name, value in quota.items() if value is not None}
    return nested


def has_own_auth(settings: effective.Effective) -> bool:
    """Return whether the fallback is not logged in to as the first server is."""
    return "smtp.fallback.auth.mechanism" in settings.provenance


def _server(endpoint: effective.Endpoint, auth: effective.Auth | None, viewer: vocabulary.Origin) -> dict[str, Any]:
    tls = _tls(endpoint.tls)
    if auth is not None and auth.certificate is not None and (viewer == _HOST or endpoint.origin == _ORG):
        tls["clientCertificateSecretName"] = auth.certificate.name
    return {"host": endpoint.host, "port": endpoint.port, "tls": tls}


def _auth(endpoint: effective.Endpoint, auth: effective.Auth, viewer: vocabulary.Origin) -> dict[str, Any]:
    shown: dict[str, Any] = {"mechanism": auth.mechanism.value}
    if auth.identity and (viewer == _HOST or endpoint.origin == _ORG):
        shown["username"] = auth.identity
    if auth.secret is not None and (viewer == _HOST or auth.origin == _ORG):
        shown["secretName"] = auth.secret.name
    if auth.oauth2 is not None and (viewer == _HOST or auth.origin == _ORG):
        shown["oauth2"] = _oauth2(auth.oauth2)
    return shown


def flatten(nested: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Return the values of nested groups by their dotted paths; lists as comma-separated text."""
    flat: dict[str, str] = {}
    for name, value in nested.items():
        path = f"{prefix}{name}"
        match value:
            case dict():
                flat |= flatten(value, f"{path}.")
            case list():
                flat[path] = ", ".join(value)
            case bool():
                flat[path] = "true" if value else "false"
            case _:
                flat[path] = str(value)
    return flat


def details(settings: effective.Effective) -> dict[str, str]:
    """Return what a status does not show, by its dotted path: keys of Secrets, and what follows from the policy."""
    shown = _details(settings.endpoint, settings.auth, settings.by_address)
    there = settings.fallback
    if there is not None:
        heads = ("smtp.", "auth.") if has_own_auth(settings) else ("smtp.", "auth.trusted")
        for path, text in _details(there.endpoint, there.auth, there.by_address).items():
            if path.startswith(heads):
                shown[f"smtp.fallback.{path.removeprefix('smtp.')}"] = text
    if settings.recipients.domains is not None:
        domains = ", ".join(settings.recipients.domains) or "nobody"
        shown["recipients.domains"] = domains if settings.recipients.enforced else f"{domains} (audited)"
    return {path: text for path, text in shown.items() if text is not None}


def _details(
    endpoint: effective.Endpoint | None, auth: effective.Auth | None, there: effective.ByAddress
) -> dict[str, str | None]:
    """Return what a status does not show of one server, by the paths of the first."""
    shown: dict[str, str | None] = {}
    if endpoint is not None:
        shown["smtp.tls.ca"] = endpoint.tls.ca
        shown["smtp.addresses"] = _addresses(endpoint.addresses)
        is_own = endpoint.origin == _ORG
        shown["smtp.namesHostServer"] = _true(is_own and endpoint.is_host_s)
        shown["auth.trusted"] = _true(not is_own and not endpoint.is_host_s)
        shown["auth.trustedByAddress"] = _true(there.is_trusted)
    if auth is not None and auth.secret is not None:
        shown["auth.secretNamespace"] = auth.secret.namespace
        shown["auth.secretKey"] = auth.secret.key or None
    if auth is not None and auth.certificate is not None:
        shown["smtp.tls.clientCertificateSecretNamespace"] = auth.certificate.namespace
    if auth is not None and auth.oauth2 is not None:
        shown["auth.oauth2.keyID"] = auth.oauth2.key_id
        shown["auth.oauth2.clientSecretKey"] = auth.oauth2.client_secret_key
        shown["auth.oauth2.privateKeyKey"] = auth.oauth2.private_key_key
        shown["auth.oauth2.refreshTokenKey"] = auth.oauth2.refresh_token_key
        shown["auth.oauth2.addresses"] = _addresses(auth.oauth2.server.addresses)
    return shown


def _true(is_so: bool) -> str | None:
    return "true" if is_so else None


def provenance(settings: effective.Effective, nested: dict[str, Any]) -> dict[str, str]:
    """Return where each value came from that is shown, by its path.

    A default that is an absence (no Reply-To, no limit) is not among them, nor what the viewer may not see.
    """
    return {
        path: origin.value
        for path, origin in settings.provenance.items()
        if _is_shown(path, nested) or (path == "suspend" and origin != vocabulary.Origin.DEFAULT)
    }


def _is_shown(path: str, nested: dict[str, Any]) -> bool:
    for end in ("auth.passwordSecretRef", "auth.oauth2.secretRef"):
        if path.endswith(end):
            return "secretName" in _group(nested, path.removesuffix(end) + "auth")
    if path.endswith("tls.clientCertificateRef"):
        return "clientCertificateSecretName" in _group(nested, path.removesuffix(".clientCertificateRef"))
    group: Any = nested
    for name in path.split("."):
        group = group.get(name)
        if group is None:
            return False
    return True


def _group(nested: dict[str, Any], path: str) -> dict[str, Any]:
    """Return a group of the values by its path; an empty one where it is not shown."""
    group = nested
    for name in path.split("."):
        group = group.get(name, {})
    return group


def _addresses(rules: effective.AddressRules) -> str:
    kinds = [name for name, allowed in (("public", rules.public), ("private", rules.private)) if allowed]
    return ", ".join((*kinds, *rules.allow, *(f"not {network}" for network in rules.deny))) or "none"


def _oauth2(oauth2: effective.OAuth2) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "grantType": oauth2.grant_type.value,
        "tokenURL": oauth2.server.url,
        "clientID": oauth2.client_id,
        "clientAuthentication": oauth2.client_authentication.value,
    }
    if oauth2.scopes:
        shown["scopes"] = list(oauth2.scopes)
    return shown


def _tls(tls: effective.Tls) -> dict[str, str]:
    shown = {"mode": tls.mode.value}
    if tls.mode != vocabulary.TlsMode.DISABLED:
        shown["minVersion"] = tls.min_version.value
    if tls.server_name is not None:
        shown["serverName"] = tls.server_name
    return shown


def _delivery(delivery: effective.Delivery) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "maxConnections": delivery.max_connections,
        "messagesPerConnection": delivery.messages_per_connection,
        "timeouts": {
            "session": types.format_duration(delivery.session_timeout),
            "envelope": types.format_duration(delivery.envelope_timeout),
            "message": types.format_duration(delivery.message_timeout),
        },
    }
    if delivery.helo_name is not None:
        shown["heloName"] = delivery.helo_name
    if delivery.ehlo_ignore:
        shown["ehloIgnore"] = [str(keyword) for keyword in delivery.ehlo_ignore]
    if delivery.replies:
        shown["replies"] = [str(rule) for rule in delivery.replies]
    if delivery.endpoint_rate_per_minute is not None:
        shown["endpointRatePerMinute"] = delivery.endpoint_rate_per_minute
    if delivery.rate_per_minute is not None:
        shown["ratePerMinute"] = delivery.rate_per_minute
    if delivery.max_age is not None:
        shown["maxAge"] = types.format_duration(delivery.max_age)
    return shown


def _category(category: vocabulary.Category, values: effective.CategorySettings) -> dict[str, Any]:
    # The recipient of a password recovery is always named by the notification.
    if category == vocabulary.Category.PASSWORD_RECOVERY:
        return {"enabled": values.enabled, "locale": values.locale.value}
    return {"enabled": values.enabled, "recipients": list(values.recipients), "locale": values.locale.value}
