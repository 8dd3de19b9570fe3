"""What is wrong with the server that mail is submitted to, and with what it is shown."""

import dataclasses
from typing import Final

from mailtier.api import reasons, vocabulary
from mailtier.settings import credentials, effective, endpoints, host_server, tiers
from mailtier.settings.rules import cases

_SPARE: Final = "spec.smtp.fallback"
_OWN: Final = "spec.smtp to use the host's"


def _is_open(case: cases.Case) -> bool:
    """Return whether mode Audit may let a server be used: one whose address is not public stays closed (R6)."""
    endpoint = case.values.endpoint
    return endpoint is not None and endpoints.is_open(endpoint.host, endpoint.addresses)


def _is_token_server_open(case: cases.Case) -> bool:
    auth = case.values.auth
    server = auth.oauth2.server if auth and auth.oauth2 else None
    return server is not None and endpoints.is_open(server.host, server.addresses)


@cases.rule(audited=cases.never)
def endpoint_missing(case: cases.Case) -> effective.Finding | None:
    """Neither tier names a server."""
    if case.values.endpoint is not None or case.host is None:
        return None
    return cases.missing(reasons.ENDPOINT_MISSING, "spec.smtp.host", "an SMTP server")


@cases.rule(audited=_is_open)
def endpoint_denied(case: cases.Case) -> effective.Finding | None:
    """The host's policy closes the server, whatever else it says."""
    endpoint = case.values.endpoint
    if endpoint is None or _judge(case, endpoint) != endpoints.EndpointVerdict.DENIED:
        return None
    return effective.Finding(
        reason=reasons.ENDPOINT_DENIED,
        field="spec.smtp.host",
        message=f"{endpoint} is closed by the host's policy.endpoints.deny; name another server, or remove"
        f" {_SPARE if case.is_fallback else _OWN}",
    )


@cases.rule(audited=_is_open)
def endpoint_not_allowed(case: cases.Case) -> effective.Finding | None:
    """The host's policy does not open the server, its port or its address."""
    endpoint = case.values.endpoint
    if endpoint is None or _judge(case, endpoint) != endpoints.EndpointVerdict.NOT_ALLOWED:
        return None
    if endpoint.origin == cases.ORG:
        message = (
            f"{endpoint} is not allowed; allowed: {_allowed_endpoints(case)}; {_usual_port(case, endpoint)}name such a"
            " server, or have the platform team extend policy.endpoints.allow"
        )
    elif case.viewer == cases.HOST:
        message = (
            f"{endpoint.host} is neither a public nor an internal address; name another server, or list its network"
            " in spec.policy.endpoints.hostAllow"
        )
    else:
        message = f"the host's server may not be connected to; {cases.ASK}"
        return effective.Finding(reason=reasons.ENDPOINT_NOT_ALLOWED, field="", message=message)
    return effective.Finding(reason=reasons.ENDPOINT_NOT_ALLOWED, field="spec.smtp.host", message=message)


@cases.rule(audited=_is_token_server_open)
def token_server_not_allowed(case: cases.Case) -> effective.Finding | None:
    """The host's policy does not open the server that an organization has its tokens from."""
    auth = case.values.auth
    if auth is None or auth.oauth2 is None or auth.origin != cases.ORG:
        return None
    server, policy = auth.oauth2.server, case.policy.endpoints if case.policy else None
    usual = endpoints.TOKEN_PORTS
    verdict = endpoints.judge(policy, host=server.host, port=server.port, usual=usual)
    if verdict == endpoints.EndpointVerdict.ALLOWED:
        return None
    if verdict == endpoints.EndpointVerdict.DENIED:
        return effective.Finding(
            reason=reasons.TOKEN_SERVER_NOT_ALLOWED,
            field="spec.auth.oauth2.tokenURL",
            message=f"{server} is closed by the host's policy.endpoints.deny; name another token server",
        )
    return effective.Finding(
        reason=reasons.TOKEN_SERVER_NOT_ALLOWED,
        field="spec.auth.oauth2.tokenURL",
        message=f"{server} is not allowed; allowed:"
        f" {endpoints.describe_allowed(policy, usual=usual)}; name such a server, or have the platform team extend"
        " policy.endpoints.allow",
    )


@cases.rule(audited=cases.never)
def credentials_required(case: cases.Case) -> effective.Finding | None:
    """An organization's own server, and no word of credentials."""
    if case.values.endpoint is None or case.values.auth is not None:
        return None
    return effective.Finding(
        reason=reasons.CREDENTIALS_REQUIRED,
        field="spec.auth",
        message=f"is absent, and the host's credentials are not sent to {case.values.endpoint}; set username and"
        f" passwordSecretRef{', or mechanism: Anonymous' if _is_anonymous_allowed(case) else ''}",
    )


@cases.rule(audited=cases.always)
def anonymous_not_allowed(case: cases.Case) -> effective.Finding | None:
    """An organization's own server without credentials, which may trust us for our address alone."""
    endpoint, auth = case.values.endpoint, case.values.auth
    if endpoint is None or auth is None or endpoint.origin != cases.ORG:
        return None
    if auth.mechanism != vocabulary.Mechanism.ANONYMOUS:
        return None
    if endpoint.is_host_s and not _is_host_anonymous(case):
        return effective.Finding(
            reason=reasons.ANONYMOUS_NOT_ALLOWED,
            field="spec.auth.mechanism",
            message=f"Anonymous on {endpoint} is not allowed, because this is the host's server;"
            f" {'name another one' if case.is_fallback else 'inherit it by removing spec.smtp'}, or set username and"
            " passwordSecretRef",
        )
    if _is_anonymous_allowed(case):
        return None
    return effective.Finding(
        reason=reasons.ANONYMOUS_NOT_ALLOWED,
        field="spec.auth.mechanism",
        message=f"Anonymous on {endpoint} is not allowed; set username and passwordSecretRef, or have the platform"
        " team set policy.endpoints.anonymous: true",
    )


@cases.rule(audited=cases.never)
def plaintext_refused(case: cases.Case) -> effective.Finding | None:
    """A password that would cross a connection without TLS; the host may accept that for its own alone."""
    endpoint, auth = case.values.endpoint, case.values.auth
    if endpoint is None or auth is None or endpoint.tls.mode != vocabulary.TlsMode.DISABLED or auth.secret is None:
        return None
    hosts = case.host.auth if case.host else None
    if auth.origin == cases.HOST and endpoint.origin == cases.HOST and hosts is not None and hosts.allow_plaintext:
        return None
    smtp = "smtp.fallback" if case.is_fallback else "smtp"
    return effective.Finding(
        reason=reasons.PLAINTEXT_REFUSED,
        field="spec.auth",
        message=f"the password would be sent in clear, because {smtp}.tls.mode of {endpoint} is Disabled; remove"
        f" {_SPARE if case.is_fallback else 'spec.auth'}, or set spec.{smtp} to a server of your own with tls.mode"
        " StartTLS (port 587) or Implicit (port 465)",
    )


@cases.rule(audited=cases.never)
def host_account_not_allowed(case: cases.Case) -> effective.Finding | None:
    """On the host's server, the host's own account with a password that an organization brings (R12)."""
    endpoint, auth = case.values.endpoint, case.values.auth
    if endpoint is None or auth is None or auth.origin != cases.ORG:
        return None
    if not any(_is_host_account(case, server, endpoint, auth) for server in host_server.servers(case.host)):
        return None
    return effective.Finding(
        reason=reasons.HOST_ACCOUNT_NOT_ALLOWED,
        field="spec.auth.username",
        message="is the host's own account on this server, which the host's settings alone may log in with; remove"
        f" {_SPARE if case.is_fallback else 'spec.auth and spec.smtp to use it'}, or set another username",
    )


def _is_host_account(
    case: cases.Case, server: host_server.HostServer, endpoint: effective.Endpoint, auth: effective.Auth
) -> bool:
    """Return whether a login is the host's own account on one of its servers."""
    hosts = server.auth
    if hosts is None or hosts.username is None:
        return False
    is_there = case.is_at_host_s or host_server.shares_accounts(server, endpoint.host)
    own = credentials.render_identity(hosts.username, hosts.domain, hosts.username_format)
    return is_there and host_server.is_account(server, auth.identity, own)


def _is_anonymous_allowed(case: cases.Case) -> bool:
    policy = case.policy.endpoints if case.policy else None
    return policy is not None and policy.anonymous is True


def _is_host_anonymous(case: cases.Case) -> bool:
    auth = case.host.auth if case.host else None
    return auth is None or auth.mechanism == vocabulary.Mechanism.ANONYMOUS


def _judge(case: cases.Case, endpoint: effective.Endpoint) -> endpoints.EndpointVerdict:
    if endpoint.origin == cases.HOST:
        is_open = endpoints.is_open(endpoint.host, endpoint.addresses)
        return endpoints.EndpointVerdict.ALLOWED if is_open else endpoints.EndpointVerdict.NOT_ALLOWED
    policy = case.policy.endpoints if case.policy else None
    return endpoints.judge(policy, host=endpoint.host, port=endpoint.port)


def _usual_port(case: cases.Case, endpoint: effective.Endpoint) -> str:
    """Return the advice to leave the port to the TLS mode, where that is all that is wrong with a server."""
    mode = endpoint.tls.mode
    usual = dataclasses.replace(endpoint, port=tiers.PORTS[mode])
    if usual.port == endpoint.port or _judge(case, usual) != endpoints.EndpointVerdict.ALLOWED:
        return ""
    field = f"{_SPARE}.port" if case.is_fallback else "spec.smtp.port"
    return f"remove {field} to use {usual.port}, which is usual for {mode}, "


def _allowed_endpoints(case: cases.Case) -> str:
    return endpoints.describe_allowed(case.policy.endpoints if case.policy else None)
