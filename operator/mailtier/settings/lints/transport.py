"""Lints about the server and how the connection to it is protected."""

from collections.abc import Iterator
from typing import Final

from mailtier.api import vocabulary
from mailtier.settings import effective, endpoints
from mailtier.settings.lints import names, terms

_TLS = vocabulary.TlsMode
_IMPLICIT_PORT: Final = 465
_STARTTLS_PORTS: Final = (25, 587)
_RELAY_PORT: Final = 25
_SUBMISSION_PORTS: Final = (465, 587)


def expects_other_mode(endpoint: effective.Endpoint) -> bool:
    """Return whether the port is known for the other way to begin TLS (RFC 8314 section 7.3, RFC 6409)."""
    if endpoint.tls.mode == _TLS.STARTTLS:
        return endpoint.port == _IMPLICIT_PORT
    return endpoint.tls.mode == _TLS.IMPLICIT and endpoint.port in _STARTTLS_PORTS


def _starttls_on_implicit(subject: terms.Subject) -> Iterator[terms.Notice]:
    endpoint = subject.endpoint
    if endpoint is not None and endpoint.tls.mode == _TLS.STARTTLS and expects_other_mode(endpoint):
        yield terms.Notice(
            field="spec.smtp.tls.mode",
            message=f"StartTLS does not go with port {endpoint.port}, where servers expect TLS from the first byte; set"
            " mode to Implicit, or port to 587",
        )


def _implicit_on_starttls(subject: terms.Subject) -> Iterator[terms.Notice]:
    endpoint = subject.endpoint
    if endpoint is not None and endpoint.tls.mode == _TLS.IMPLICIT and expects_other_mode(endpoint):
        yield terms.Notice(
            field="spec.smtp.tls.mode",
            message=f"Implicit does not go with port {endpoint.port}, where servers speak in clear until STARTTLS; set"
            " mode to StartTLS, or port to 465",
        )


def _password_in_clear(subject: terms.Subject) -> Iterator[terms.Notice]:
    endpoint, auth = subject.endpoint, subject.effective.auth
    if endpoint is None or auth is None or endpoint.tls.mode != _TLS.DISABLED:
        return
    if auth.mechanism != vocabulary.Mechanism.ANONYMOUS and not names.is_loopback(endpoint.host):
        yield terms.Notice(
            field="spec.auth.allowPlaintext",
            message="lets the password cross the network in clear; set smtp.tls.mode to StartTLS or Implicit and"
            " remove it",
        )


def _mail_in_clear(subject: terms.Subject) -> Iterator[terms.Notice]:
    endpoint = subject.endpoint
    if endpoint is not None and endpoint.tls.mode == _TLS.DISABLED and not names.is_loopback(endpoint.host):
        yield terms.Notice(
            field="spec.smtp.tls.mode",
            message="Disabled lets everybody on the way read the mail, with the links of password recoveries; set"
            " StartTLS, with caRef for a certificate of a private CA",
        )


def _address_without_name(subject: terms.Subject) -> Iterator[terms.Notice]:
    endpoint = subject.endpoint
    if endpoint is None or endpoint.tls.mode == _TLS.DISABLED or endpoint.tls.server_name is not None:
        return
    if endpoints.is_address(endpoint.host):
        yield terms.Notice(
            field="spec.smtp.tls.serverName",
            message=f"is absent, and certificates are rarely made out to an address such as {endpoint.host}; set it to"
            " the name in the server's certificate, or smtp.host to that name, unless the certificate holds the"
            " address",
        )


def _same_fallback(subject: terms.Subject) -> Iterator[terms.Notice]:
    endpoint, fallback = subject.endpoint, subject.effective.fallback
    if endpoint is None or fallback is None or not endpoints.are_same_host(endpoint.host, fallback.endpoint.host):
        return
    yield terms.Notice(
        field="spec.smtp.fallback.host",
        message=f"{fallback.endpoint.host} is the first server's host, and dead when that is; name another machine, or"
        " remove spec.smtp.fallback",
    )


def _unqualified_host(subject: terms.Subject) -> Iterator[terms.Notice]:
    endpoint, auth = subject.endpoint, subject.auth
    named = [] if endpoint is None else [("spec.smtp.host", endpoint.host)]
    if auth is not None and auth.oauth2 is not None:
        named.append(("spec.auth.oauth2.tokenURL", auth.oauth2.server.host))
    for field, host in named:
        if endpoints.is_address(host) or names.is_loopback(host) or not names.is_relative_to_a_cluster(host):
            continue
        yield terms.Notice(
            field=field,
            message=f"{host} is looked up as it stands, and not through the search list of a pod; write the whole"
            " name, such as relay.mail.svc.cluster.local for the Service relay in the namespace mail",
        )


def _loopback(subject: terms.Subject) -> Iterator[terms.Notice]:
    endpoint = subject.endpoint
    if endpoint is not None and names.is_loopback(endpoint.host):
        yield terms.Notice(
            field="spec.smtp.host",
            message=f"{endpoint.host} is the sender's own pod, not the machine it runs on; name the server, unless it"
            " is a sidecar of the sender",
        )


def _credentials_on_relay_port(subject: terms.Subject) -> Iterator[terms.Notice]:
    endpoint, auth = subject.endpoint, subject.effective.auth
    if endpoint is None or auth is None or endpoint.port != _RELAY_PORT:
        return
    if auth.mechanism != vocabulary.Mechanism.ANONYMOUS:
        yield terms.Notice(
            field="spec.smtp.port",
            message="25 is for relaying between servers, and clouds block it; submit on 587 with StartTLS or on 465"
            " with Implicit",
        )


def _anonymous_submission(subject: terms.Subject) -> Iterator[terms.Notice]:
    endpoint, auth, provider = subject.endpoint, subject.effective.auth, subject.provider
    if endpoint is None or auth is None or endpoint.port not in _SUBMISSION_PORTS:
        return
    if provider is None and auth.mechanism == vocabulary.Mechanism.ANONYMOUS:
        yield terms.Notice(
            field="spec.auth",
            message=f"is absent or Anonymous, and servers ask for credentials on port {endpoint.port}; set username and"
            " passwordSecretRef, or ignore this if the server knows the cluster by its address",
        )


LINTS: Final = (
    terms.Lint(
        identifier="starttls-on-implicit-tls-port",
        severity=terms.LintSeverity.ERROR,
        title="StartTLS on a port that expects TLS from the first byte",
        explanation="Port 465 is for implicit TLS (RFC 8314 section 7.3): the server waits for a TLS handshake, the"
        " client for a greeting, until one of them gives up. It looks like a dead server.",
        remedy="Set smtp.tls.mode to Implicit, or smtp.port to 587.",
        check=_starttls_on_implicit,
    ),
    terms.Lint(
        identifier="implicit-tls-on-starttls-port",
        severity=terms.LintSeverity.ERROR,
        title="Implicit TLS on a port that speaks in clear first",
        explanation="On ports 587 (RFC 6409) and 25 (RFC 5321) a session begins in clear and is protected by STARTTLS"
        " (RFC 3207). A client that begins with TLS gets an answer that is no TLS: wrong version number, in the words"
        " of OpenSSL.",
        remedy="Set smtp.tls.mode to StartTLS, or smtp.port to 465.",
        check=_implicit_on_starttls,
    ),
    terms.Lint(
        identifier="password-in-clear",
        severity=terms.LintSeverity.ERROR,
        title="A password crosses the network without TLS",
        explanation="auth.allowPlaintext with smtp.tls.mode Disabled sends the password readable to everything between"
        " the sender and the server: other pods, nodes, switches, and whoever records them.",
        remedy="Set smtp.tls.mode to StartTLS or Implicit and remove auth.allowPlaintext; with a certificate of a"
        " private CA name the CA in smtp.tls.caRef.",
        check=_password_in_clear,
    ),
    terms.Lint(
        identifier="mail-in-clear",
        severity=terms.LintSeverity.WARNING,
        title="Mail crosses the network without TLS",
        explanation="Whoever can record the connection reads every message, the links of password recoveries among"
        " them, and can use these before their recipient does.",
        remedy="Set smtp.tls.mode to StartTLS or Implicit; with a certificate of a private CA name the CA in"
        " smtp.tls.caRef.",
        check=_mail_in_clear,
    ),
    terms.Lint(
        identifier="ip-address-without-server-name",
        severity=terms.LintSeverity.INFO,
        title="The server is an IP address, and no name is given for its certificate",
        explanation="A certificate is checked against the host. Most are made out to names alone, so that one reached"
        " by its address does not verify, and no mail is sent; then Verified says TlsFailed. A certificate of a private"
        " CA may hold the address.",
        remedy="Set smtp.tls.serverName to the name in the certificate, or smtp.host to that name; leave it if the"
        " certificate holds the address.",
        check=_address_without_name,
    ),
    terms.Lint(
        identifier="fallback-on-the-same-host",
        severity=terms.LintSeverity.WARNING,
        title="The fallback is the first server's host",
        explanation="The fallback takes the mail while nothing greets at the first server. On the same host, on another"
        " port, it is mostly dead at the same time; and what fails at one of a name's addresses is tried at the next"
        " without it.",
        remedy="Name a server on another machine, or remove smtp.fallback.",
        check=_same_fallback,
    ),
    terms.Lint(
        identifier="unqualified-host",
        severity=terms.LintSeverity.WARNING,
        title="The server's name is not a whole one",
        explanation="A single label, service.namespace and service.namespace.svc are found only through the search list"
        " of a pod. The sender looks names up as they stand: through a search list, whoever owns a namespace would own"
        " names of others in it. No public CA makes out a certificate to such a name either.",
        remedy="Write the whole name, as in relay.mail.svc.cluster.local or smtp.example.com.",
        check=_unqualified_host,
    ),
    terms.Lint(
        identifier="loopback-endpoint",
        severity=terms.LintSeverity.WARNING,
        title="The server is the sender's own pod",
        explanation="Inside a pod, localhost is the pod. A relay that listens on the node's or on a laptop's localhost"
        " is not reached.",
        remedy="Name the server by a name that resolves in the cluster. A sidecar beside the sender is the one case in"
        " which this is right.",
        check=_loopback,
    ),
    terms.Lint(
        identifier="credentials-on-port-25",
        severity=terms.LintSeverity.WARNING,
        title="Submission with credentials on port 25",
        explanation="Port 25 is for mail between servers. Clouds and access providers block or slow it down outwards,"
        " and many servers offer no AUTH there (RFC 6409 section 3.1, RFC 8314 section 3).",
        remedy="Use port 587 with StartTLS, or 465 with Implicit.",
        check=_credentials_on_relay_port,
    ),
    terms.Lint(
        identifier="submission-without-credentials",
        severity=terms.LintSeverity.INFO,
        title="A submission port without credentials",
        explanation="On ports 587 and 465 servers usually answer 530 or 550 to who did not authenticate (RFC 6409"
        " section 4.3).",
        remedy="Set auth, or leave it if the server knows the cluster by its address.",
        check=_anonymous_submission,
    ),
)
