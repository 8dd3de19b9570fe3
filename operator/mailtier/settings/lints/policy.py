"""Lints about what the host's policy opens. They are for the host alone."""

from collections.abc import Iterator
from typing import Final

from mailtier.api import policies, settings, vocabulary
from mailtier.settings import host_server, networks
from mailtier.settings.lints import names, terms
from mailtier.settings.providers import catalogue

_METADATA: Final = ("169.254.169.254", "fd00:ec2::254")
_INTERNAL: Final = ("10.0.0.1", "172.16.0.1", "192.168.0.1", "fd00::1")
_WIDE: Final = 2
"""A network that holds this many of the private ones was not drawn for one relay."""


def _host(subject: terms.Subject) -> settings.HostSpec | None:
    return subject.host if subject.viewer == vocabulary.Origin.HOST else None


def _policy(subject: terms.Subject) -> policies.Policy | None:
    host = _host(subject)
    return host.policy if host is not None else None


def _endpoints(subject: terms.Subject) -> policies.EndpointsPolicy | None:
    policy = _policy(subject)
    return policy.endpoints if policy is not None else None


def _every_network(subject: terms.Subject) -> Iterator[terms.Notice]:
    endpoints = _endpoints(subject)
    for index, entry in enumerate((endpoints.allow if endpoints else None) or ()):
        cidr = entry.cidr
        if cidr is not None and sum(networks.holds(cidr, address) for address in _INTERNAL) >= _WIDE:
            yield terms.Notice(
                field=f"spec.policy.endpoints.allow[{index}].cidr",
                message=f"{cidr} opens every private network to organizations, that of the cluster included; name the"
                " networks of the mail servers",
            )


def _metadata(subject: terms.Subject) -> Iterator[terms.Notice]:
    endpoints = _endpoints(subject)
    for cidr in (endpoints.host_allow if endpoints else None) or ():
        if any(networks.holds(cidr, address) for address in _METADATA):
            yield terms.Notice(
                field="spec.policy.endpoints.hostAllow",
                message=f"{cidr} holds the cloud's metadata service, where no mail server stands; name the server's own"
                " network",
            )


def _anonymous_everywhere(subject: terms.Subject) -> Iterator[terms.Notice]:
    endpoints = _endpoints(subject)
    if endpoints is not None and endpoints.anonymous and endpoints.allow is None:
        yield terms.Notice(
            field="spec.policy.endpoints.anonymous",
            message="true without allow lets organizations use every relay that trusts the cluster's address; list the"
            " servers in allow",
        )


def _foreign_domain(subject: terms.Subject) -> Iterator[terms.Notice]:
    policy = _policy(subject)
    from_ = policy.from_ if policy is not None else None
    for entry in (from_.allow if from_ is not None else None) or ():
        if names.domain_of(entry) in names.FREEMAIL:
            yield terms.Notice(
                field="spec.policy.from.allow",
                message=f"{entry} is of a domain of everybody's mailboxes, whose DMARC record disowns mail from your"
                " server; allow domains of your own",
            )


def _trusted_logins(subject: terms.Subject) -> Iterator[terms.Notice]:
    policy, endpoint = _policy(subject), subject.effective.endpoint
    if endpoint is None or host_server.own_logins(policy) != vocabulary.OwnLogins.TRUST:
        return
    provider = catalogue.find(endpoint.host)
    if provider is not None and provider.binds_from.value:
        # KnownProviders would trust them as well.
        return
    yield terms.Notice(
        field="spec.policy.from.ownLogins",
        message=f"Trust lets every organization that has a login on {endpoint.host} send as anybody that this server"
        " allows it; have the server bind From to the login, and otherwise remove the field",
    )


def _idle_plaintext(subject: terms.Subject) -> Iterator[terms.Notice]:
    host = _host(subject)
    if host is None or host.auth is None or not host.auth.allow_plaintext:
        return
    endpoint = subject.effective.endpoint
    if endpoint is not None and endpoint.tls.mode != vocabulary.TlsMode.DISABLED:
        yield terms.Notice(
            field="spec.auth.allowPlaintext",
            message="true does nothing while the connection has TLS, and would let the password out as soon as somebody"
            " sets mode Disabled; remove it",
        )


def _audit(subject: terms.Subject) -> Iterator[terms.Notice]:
    policy = _policy(subject)
    if policy is not None and policy.mode == vocabulary.PolicyMode.AUDIT:
        yield terms.Notice(
            field="spec.policy.mode",
            message="Audit blocks nothing; set Enforce when status.summary.wouldBlock is 0, or as low as you want it",
        )


LINTS: Final = (
    terms.Lint(
        identifier="policy-opens-private-networks",
        severity=terms.LintSeverity.ERROR,
        title="The policy opens every private network to organizations",
        explanation="A network in policy.endpoints.allow admits whatever name resolves into it. One that holds the"
        " private ranges lets organizations connect to Services and machines that were never meant for them, and learn"
        " from the answers which are there.",
        remedy="Name the networks of the mail servers, as small as they are.",
        check=_every_network,
    ),
    terms.Lint(
        identifier="policy-opens-metadata",
        severity=terms.LintSeverity.ERROR,
        title="The policy opens the cloud's metadata service",
        explanation="169.254.169.254 and its like hand out credentials of the machine. No mail server stands there.",
        remedy="Name the server's own network in policy.endpoints.hostAllow.",
        check=_metadata,
    ),
    terms.Lint(
        identifier="policy-anonymous-everywhere",
        severity=terms.LintSeverity.WARNING,
        title="Organizations may use any server without credentials",
        explanation="A relay that trusts the cluster's address trusts every organization then. The host's own is known"
        " by the addresses that DNS answers at the moment; any other relay is not, and From is not bound there.",
        remedy="List the servers that may be used without credentials in policy.endpoints.allow.",
        check=_anonymous_everywhere,
    ),
    terms.Lint(
        identifier="policy-allows-freemail-from",
        severity=terms.LintSeverity.WARNING,
        title="The policy allows From addresses of a free mail provider",
        explanation="Such mail fails DMARC, and refusals hurt the reputation of the server that all organizations"
        " share.",
        remedy="Allow domains of your own.",
        check=_foreign_domain,
    ),
    terms.Lint(
        identifier="policy-trusts-own-logins",
        severity=terms.LintSeverity.WARNING,
        title="Logins of organizations may send as the host",
        explanation="With policy.from.ownLogins: Trust, an organization that authenticates on the host's server with a"
        " login of its own is not held to policy.from.allow. Whether it can then send as the host, or as another"
        " organization, is for the server alone to decide, and many do not look at From at all.",
        remedy="Configure the server so that it binds From to the login (in Postfix, reject_sender_login_mismatch), or"
        " remove the field and list what organizations may use in policy.from.allow.",
        check=_trusted_logins,
    ),
    terms.Lint(
        identifier="allow-plaintext-idle",
        severity=terms.LintSeverity.WARNING,
        title="A permission to send the password in clear lies ready",
        explanation="auth.allowPlaintext does nothing while the connection has TLS. It takes away the question that"
        " would be asked when somebody turns TLS off.",
        remedy="Remove auth.allowPlaintext.",
        check=_idle_plaintext,
    ),
    terms.Lint(
        identifier="policy-in-audit-mode",
        severity=terms.LintSeverity.INFO,
        title="The policy is not in force",
        explanation="In mode Audit violations are told and counted, and mail goes out nevertheless. That is meant for"
        " the time in which a policy is tried out.",
        remedy="Set policy.mode to Enforce when nothing would be blocked that should not be.",
        check=_audit,
    ),
)
