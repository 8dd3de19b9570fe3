"""`effective.json`: how effective settings travel from the operator to the sender, and what people see beside it.

The text is canonical (sorted keys, no blanks), so that equal settings are equal texts and nothing is written twice.
"""

import datetime as dt
import hashlib
import json
from typing import Any, Final

from mailtier.api import canonical, reasons, vocabulary
from mailtier.settings import effective, view

VERSION: Final = 2

_HEAD: Final = '{"hash":"'
_TAIL: Final = f',"version":{VERSION}}}'
_Json = dict[str, Any]


class CodecError(ValueError):
    """The text is not effective settings of this version; the sentence says what to do."""


def encode(settings: effective.Effective) -> str:
    """Return the canonical JSON of effective settings; `decode` reads it back.

    `hash` is the hexadecimal SHA-256 of the same JSON without it.
    """
    rest = f'"settings":{canonical.encode(_to_json(settings))}{_TAIL}'
    digest = hashlib.sha256(f"{{{rest}".encode()).hexdigest()
    return f'{_HEAD}{digest}",{rest}'


def decode(text: str) -> effective.Effective:
    """Return the effective settings that a text holds.

    Raises:
        CodecError: It is of another version, was edited, or is no effective settings at all.
    """
    try:
        document = json.loads(text)
        version, digest = document["version"], document["hash"]
    except (ValueError, TypeError, KeyError) as error:
        raise CodecError("the text is not effective.json; let the operator write it again") from error
    if version != VERSION:
        raise CodecError(
            f"effective.json has version {version!r}, and this program reads version {VERSION}; operator and sender"
            " must be of the same release"
        )
    rest = text.replace(f'"hash":"{digest}",', "", 1)
    if hashlib.sha256(rest.encode()).hexdigest() != digest:
        raise CodecError("effective.json does not match its hash; it was edited, let the operator write it again")
    try:
        return _from_json(document["settings"])
    except (ValueError, TypeError, KeyError) as error:
        raise CodecError("effective.json lacks a field or has a value that this release does not know") from error


def flat_keys(settings: effective.Effective) -> dict[str, str]:
    """Return what stands beside `effective.json` for people: values by their dotted paths.

    `provenance` and `findings` are one text each, a line an entry, as `kubectl get -o yaml` shows them best.
    """
    nested = view.nest(settings, viewer=vocabulary.Origin.HOST)
    flat = view.flatten(nested)
    flat["state"], flat["source"] = settings.state.value, settings.source.value
    if settings.endpoint is not None and settings.endpoint.tls.ca is not None:
        flat["smtp.tls.ca"] = settings.endpoint.tls.ca
    if settings.auth is not None and settings.auth.secret is not None:
        flat["auth.secretNamespace"] = settings.auth.secret.namespace
        if settings.auth.secret.key:
            flat["auth.secretKey"] = settings.auth.secret.key
    origins = view.provenance(settings, nested)
    flat["provenance"] = "".join(f"{path}: {origins[path]}\n" for path in sorted(origins))
    for name, findings in (("findings", settings.findings), ("audited", settings.audited)):
        if findings:
            flat[name] = "".join(
                f"{finding.reason}: {finding.field}{': ' if finding.field else ''}{finding.message}\n"
                for finding in findings
            )
    return flat


def probe_key(settings: effective.Effective) -> str:
    """Return what organizations have in common that share a probe; "" where there is nothing to probe.

    Endpoint, credentials by reference, EHLO name and envelope address are in it: the probe goes as far as MAIL FROM.
    The Secret's version is not: a probe says itself which one it speaks of.
    """
    if settings.endpoint is None or settings.auth is None:
        return ""
    auth = _auth_to_json(settings.auth)
    if auth["secret"] is not None:
        del auth["secret"]["version"]
    parts = {
        "endpoint": _endpoint_to_json(settings.endpoint),
        "auth": auth,
        "helo_name": settings.delivery.helo_name,
        "envelope": settings.from_.envelope if settings.from_ else None,
    }
    return canonical.digest(parts)


def _to_json(settings: effective.Effective) -> _Json:
    from_, delivery = settings.from_, settings.delivery
    return {
        "organization": [settings.organization.namespace, settings.organization.name],
        "namespace_uid": settings.namespace_uid,
        "state": settings.state,
        "source": settings.source,
        "findings": _findings_to_json(settings.findings),
        "audited": _findings_to_json(settings.audited),
        "endpoint": None if settings.endpoint is None else _endpoint_to_json(settings.endpoint),
        "auth": None if settings.auth is None else _auth_to_json(settings.auth),
        "from": None
        if from_ is None
        else {
            "address": from_.address,
            "display_name": from_.display_name,
            "reply_to": from_.reply_to,
            "envelope": from_.envelope,
        },
        "delivery": {
            "helo_name": delivery.helo_name,
            "max_connections": delivery.max_connections,
            "messages_per_connection": delivery.messages_per_connection,
            "session_timeout_seconds": _seconds(delivery.session_timeout),
            "envelope_timeout_seconds": _seconds(delivery.envelope_timeout),
            "message_timeout_seconds": _seconds(delivery.message_timeout),
            "rate_per_minute": delivery.rate_per_minute,
            "max_age_seconds": None if delivery.max_age is None else _seconds(delivery.max_age),
        },
        "notifications": {
            category: {"enabled": values.enabled, "recipients": values.recipients, "locale": values.locale}
            for category, values in settings.notifications.items()
        },
        "quota": {
            "queued_messages": settings.quota.queued_messages,
            "queued_bytes": settings.quota.queued_bytes,
            "rate_per_minute": settings.quota.rate_per_minute,
        },
        "recipients": {"domains": settings.recipients.domains, "enforced": settings.recipients.enforced},
        "provenance": settings.provenance,
    }


def _from_json(document: _Json) -> effective.Effective:
    namespace, name = document["organization"]
    endpoint, auth, from_, delivery = (document[key] for key in ("endpoint", "auth", "from", "delivery"))
    max_age, domains = delivery["max_age_seconds"], document["recipients"]["domains"]
    return effective.Effective(
        organization=effective.OrganizationKey(namespace=namespace, name=name),
        namespace_uid=document["namespace_uid"],
        state=effective.State(document["state"]),
        source=vocabulary.Source(document["source"]),
        findings=_findings_from_json(document["findings"]),
        audited=_findings_from_json(document["audited"]),
        endpoint=None if endpoint is None else _endpoint_from_json(endpoint),
        auth=None if auth is None else _auth_from_json(auth),
        from_=None if from_ is None else effective.From(**from_),
        delivery=effective.Delivery(
            helo_name=delivery["helo_name"],
            max_connections=delivery["max_connections"],
            messages_per_connection=delivery["messages_per_connection"],
            session_timeout=dt.timedelta(seconds=delivery["session_timeout_seconds"]),
            envelope_timeout=dt.timedelta(seconds=delivery["envelope_timeout_seconds"]),
            message_timeout=dt.timedelta(seconds=delivery["message_timeout_seconds"]),
            rate_per_minute=delivery["rate_per_minute"],
            max_age=None if max_age is None else dt.timedelta(seconds=max_age),
        ),
        notifications={
            vocabulary.Category(category): effective.CategorySettings(
                enabled=values["enabled"],
                recipients=tuple(values["recipients"]),
                locale=vocabulary.Locale(values["locale"]),
            )
            for category, values in document["notifications"].items()
        },
        quota=effective.Quota(**document["quota"]),
        recipients=effective.RecipientRules(
            domains=None if domains is None else tuple(domains), enforced=document["recipients"]["enforced"]
        ),
        provenance={path: vocabulary.Origin(origin) for path, origin in document["provenance"].items()},
    )


def _endpoint_to_json(endpoint: effective.Endpoint) -> _Json:
    tls = endpoint.tls
    return {
        "host": endpoint.host,
        "port": endpoint.port,
        "origin": endpoint.origin,
        "is_host_s": endpoint.is_host_s,
        "tls": {"mode": tls.mode, "server_name": tls.server_name, "min_version": tls.min_version, "ca": tls.ca},
        "addresses": _addresses_to_json(endpoint.addresses),
    }


def _endpoint_from_json(document: _Json) -> effective.Endpoint:
    tls = document["tls"]
    return effective.Endpoint(
        host=document["host"],
        port=document["port"],
        origin=vocabulary.Origin(document["origin"]),
        is_host_s=document["is_host_s"],
        tls=effective.Tls(
            mode=vocabulary.TlsMode(tls["mode"]),
            server_name=tls["server_name"],
            min_version=vocabulary.TlsVersion(tls["min_version"]),
            ca=tls["ca"],
        ),
        addresses=_addresses_from_json(document["addresses"]),
    )


def _addresses_to_json(addresses: effective.AddressRules) -> _Json:
    return {
        "public": addresses.public,
        "private": addresses.private,
        "allow": addresses.allow,
        "deny": addresses.deny,
    }


def _addresses_from_json(document: _Json) -> effective.AddressRules:
    return effective.AddressRules(
        public=document["public"],
        private=document["private"],
        allow=tuple(document["allow"]),
        deny=tuple(document["deny"]),
    )


def _auth_to_json(auth: effective.Auth) -> _Json:
    secret = auth.secret
    return {
        "mechanism": auth.mechanism,
        "identity": auth.identity,
        "origin": auth.origin,
        "secret": None
        if secret is None
        else {"namespace": secret.namespace, "name": secret.name, "key": secret.key, "version": secret.version},
        "oauth2": None if auth.oauth2 is None else _oauth2_to_json(auth.oauth2),
    }


def _auth_from_json(document: _Json) -> effective.Auth:
    secret, oauth2 = document["secret"], document["oauth2"]
    return effective.Auth(
        mechanism=vocabulary.Mechanism(document["mechanism"]),
        identity=document["identity"],
        origin=vocabulary.Origin(document["origin"]),
        secret=None if secret is None else effective.SecretReference(**secret),
        oauth2=None if oauth2 is None else _oauth2_from_json(oauth2),
    )


def _oauth2_to_json(oauth2: effective.OAuth2) -> _Json:
    server = oauth2.server
    return {
        "grant_type": oauth2.grant_type,
        "server": {
            "url": server.url,
            "host": server.host,
            "port": server.port,
            "addresses": _addresses_to_json(server.addresses),
        },
        "client_id": oauth2.client_id,
        "client_authentication": oauth2.client_authentication,
        "key_id": oauth2.key_id,
        "scopes": oauth2.scopes,
        "client_secret_key": oauth2.client_secret_key,
        "private_key_key": oauth2.private_key_key,
        "refresh_token_key": oauth2.refresh_token_key,
    }


def _oauth2_from_json(document: _Json) -> effective.OAuth2:
    server = document["server"]
    return effective.OAuth2(
        **{
            **document,
            "grant_type": vocabulary.GrantType(document["grant_type"]),
            "client_authentication": vocabulary.ClientAuthentication(document["client_authentication"]),
            "scopes": tuple(document["scopes"]),
            "server": effective.TokenServer(**{**server, "addresses": _addresses_from_json(server["addresses"])}),
        }
    )


def _findings_to_json(findings: tuple[effective.Finding, ...]) -> list[list[str]]:
    return [[finding.reason.name, finding.field, finding.message] for finding in findings]


def _findings_from_json(entries: list[list[str]]) -> tuple[effective.Finding, ...]:
    return tuple(
        effective.Finding(reason=reasons.BY_NAME[reason], field=field, message=message)
        for reason, field, message in entries
    )


def _seconds(duration: dt.timedelta) -> int:
    # The API knows whole seconds alone.
    return int(duration.total_seconds())
