"""Lints about who mail is from, and what receivers make of it."""

from collections.abc import Iterator
from typing import Final

from mailtier.api import vocabulary
from mailtier.settings import endpoints
from mailtier.settings.lints import names, terms
from mailtier.settings.providers import gmail, microsoft_365

_NOBODY: Final = frozenset(
    {"noreply", "no-reply", "no_reply", "no.reply", "donotreply", "do-not-reply", "do_not_reply", "nobody", "devnull"}
)
_FREEMAIL_SERVERS: Final = {"gmail.com": ("gmail",), "googlemail.com": ("gmail",)}
"""Which providers send for a domain of everybody's mailboxes."""


def _not_the_account(subject: terms.Subject, provider: str) -> Iterator[terms.Notice]:
    """Yield that From is not the account, to whoever owns both."""
    auth, from_ = subject.auth, subject.effective.from_
    if subject.provider is None or subject.provider.name != provider or auth is None or from_ is None:
        return
    # A username of another form is another lint's finding.
    if "@" in auth.identity and auth.identity.lower() != from_.address.lower():
        rule = subject.provider.sender.note
        yield terms.Notice(
            field="spec.from.address",
            message=f"{from_.address} is not the username, and {subject.provider.title} sends as the account: {rule};"
            " set it to the username, or allow the address there",
            fact=subject.provider.sender,
        )


def _gmail_account(subject: terms.Subject) -> Iterator[terms.Notice]:
    return _not_the_account(subject, gmail.PROVIDER.name)


def _microsoft_account(subject: terms.Subject) -> Iterator[terms.Notice]:
    return _not_the_account(subject, microsoft_365.PROVIDER.name)


def _unrelated_domain(subject: terms.Subject) -> Iterator[terms.Notice]:
    endpoint, auth, from_ = subject.endpoint, subject.auth, subject.effective.from_
    if endpoint is None or from_ is None or subject.provider is not None:
        return
    if endpoints.is_address(endpoint.host) or names.is_private(endpoint.host):
        # One's own relay, whose name in the cluster says nothing of the domains that it sends for.
        return
    domain = names.domain_of(from_.address)
    known = [endpoint.host]
    if endpoint.tls.server_name is not None:
        known.append(endpoint.tls.server_name)
    if auth is not None and "@" in auth.identity:
        # Who has a mailbox of the domain at the server is served there for it.
        known.append(names.domain_of(auth.identity))
    if not any(names.are_related(domain, name) for name in known):
        yield terms.Notice(
            field="spec.from.address",
            message=f"{domain} has nothing in common with {endpoint.host}; have the SPF record of {domain} name that"
            " server, and the server sign with DKIM for it",
        )


def _envelope_domain(subject: terms.Subject) -> Iterator[terms.Notice]:
    from_ = subject.effective.from_
    # On the host's server, its envelope is where the platform team reads the bounces of all.
    address = subject.endpoint is not None and subject.owns("from.address")
    if from_ is None or not (address or subject.owns("from.envelope")):
        return
    envelope, header = names.domain_of(from_.envelope), names.domain_of(from_.address)
    if not names.are_related(envelope, header):
        field = "spec.from.envelope" if subject.owns("from.envelope") else "spec.from.address"
        yield terms.Notice(
            field=field,
            message=f"SPF is checked for {envelope}, and DMARC asks for {header}, so that SPF does not count; use an"
            f" envelope below {header}, or be sure that the server signs with DKIM for it",
        )


def _reply_to_nobody(subject: terms.Subject) -> Iterator[terms.Notice]:
    from_ = subject.effective.from_
    if from_ is None or from_.reply_to is None or not subject.owns("from.replyTo"):
        return
    if from_.reply_to.rpartition("@")[0].lower() in _NOBODY:
        yield terms.Notice(
            field="spec.from.replyTo",
            message=f"{from_.reply_to} reads like a mailbox that nobody reads, and invites to write to it; name one"
            " that is read, or remove it",
        )


def _freemail(subject: terms.Subject) -> Iterator[terms.Notice]:
    from_ = subject.effective.from_
    if from_ is None or not subject.owns("from.address"):
        return
    domain = names.domain_of(from_.address)
    provider = subject.provider.name if subject.provider else ""
    if domain not in names.FREEMAIL or provider in _FREEMAIL_SERVERS.get(domain, ()):
        return
    # The domain's own servers, as smtp.mail.yahoo.com for yahoo.com.
    endpoint = subject.effective.endpoint
    if endpoint is not None and names.are_related(domain, endpoint.host):
        return
    yield terms.Notice(
        field="spec.from.address",
        message=f"{domain} belongs to a provider of mailboxes, whose DMARC record disowns mail from other servers; use"
        " an address of a domain of your own",
    )


def _name_like_address(subject: terms.Subject) -> Iterator[terms.Notice]:
    from_ = subject.effective.from_
    if from_ is None or from_.display_name is None or not subject.owns("from.displayName"):
        return
    if "@" in from_.display_name and from_.address.lower() not in from_.display_name.lower():
        yield terms.Notice(
            field="spec.from.displayName",
            message="shows an address other than from.address, as phishing does, and filters count it; use a name",
        )


def _domain_not_public(subject: terms.Subject) -> Iterator[terms.Notice]:
    from_ = subject.effective.from_
    if from_ is None:
        return
    for path, address in (("from.address", from_.address), ("from.envelope", from_.envelope)):
        if subject.owns(path) and names.is_never_public(names.domain_of(address)):
            yield terms.Notice(
                field=f"spec.{path}",
                message=f"{names.domain_of(address)} is no domain of the internet: receivers there refuse mail from"
                " it, and bounces find no way back; use one that is",
            )


def _helo_unknown(subject: terms.Subject) -> Iterator[terms.Notice]:
    auth, provider = subject.effective.auth, subject.provider
    if subject.endpoint is None or auth is None or provider is None or not provider.names_itself:
        return
    if auth.mechanism == vocabulary.Mechanism.ANONYMOUS and subject.effective.delivery.helo_name is None:
        yield terms.Notice(
            field="spec.delivery.heloName",
            message=f"is absent, and without credentials {provider.title} knows the account by the name in EHLO; set it"
            " to a domain of the account",
            fact=provider.sender,
        )


LINTS: Final = (
    terms.Lint(
        identifier="gmail-from-not-username",
        severity=terms.LintSeverity.WARNING,
        title="From is not the account that signs in to Gmail",
        explanation="Gmail sends as the account. Another From address is replaced by the account's own, unless it was"
        " confirmed under Settings, Accounts, Send mail as: recipients then see an address that nobody configured.",
        remedy="Set from.address to auth.username, confirm the address in Gmail, or send through smtp-relay.gmail.com.",
        check=_gmail_account,
        by_facts=True,
    ),
    terms.Lint(
        identifier="microsoft-365-from-not-username",
        severity=terms.LintSeverity.WARNING,
        title="From is not the mailbox that signs in to Microsoft 365",
        explanation="Exchange Online refuses a message whose From is not the mailbox's own (554 SendAsDenied), unless"
        " the mailbox has the permission Send As on the other address.",
        remedy="Set from.address to auth.username, or grant Send As.",
        check=_microsoft_account,
        by_facts=True,
    ),
    terms.Lint(
        identifier="from-domain-unrelated",
        severity=terms.LintSeverity.INFO,
        title="The From domain has nothing in common with the server",
        explanation="Receivers ask the From domain whether the server may send for it (SPF, DKIM, DMARC). That a server"
        " of another name may is usual, and worth a look once. Nothing is found for known providers, for addresses,"
        " for names inside the cluster or the company, and where the username has the From domain.",
        remedy="Check the SPF record of the From domain, and that the server signs with DKIM for it.",
        check=_unrelated_domain,
    ),
    terms.Lint(
        identifier="envelope-domain-differs",
        severity=terms.LintSeverity.WARNING,
        title="Envelope and From are of different domains",
        explanation="DMARC counts SPF only if the envelope's domain is the From domain or below the same registered one"
        " (RFC 7489 section 3.1.2). Then DKIM alone has to carry the message. Nothing is found where an organization"
        " inherits the host's server and envelope: bounces go to the platform team then.",
        remedy="Use an envelope address below the From domain, or be sure that the server signs with DKIM for it.",
        check=_envelope_domain,
    ),
    terms.Lint(
        identifier="reply-to-nobody",
        severity=terms.LintSeverity.INFO,
        title="Replies go to a mailbox that nobody reads",
        explanation="A Reply-To header is there to send replies somewhere else than From. Without it a reply to a"
        " no-reply From is at least known to go nowhere.",
        remedy="Name a mailbox that is read, or remove from.replyTo.",
        check=_reply_to_nobody,
    ),
    terms.Lint(
        identifier="from-freemail-domain",
        severity=terms.LintSeverity.WARNING,
        title="From is a mailbox of a free mail provider",
        explanation="The domain is not yours: its DMARC record tells receivers to refuse or to sort out what other"
        " servers send in its name.",
        remedy="Use an address of a domain of your own.",
        check=_freemail,
    ),
    terms.Lint(
        identifier="display-name-shows-address",
        severity=terms.LintSeverity.WARNING,
        title="The display name shows another address",
        explanation="A name that is an address other than the real one is what phishing looks like. Filters count it,"
        " and mail programs may show it in place of the address.",
        remedy="Use a name without an address in it.",
        check=_name_like_address,
    ),
    terms.Lint(
        identifier="sender-domain-not-public",
        severity=terms.LintSeverity.WARNING,
        title="The sender's domain does not exist on the internet",
        explanation="Receivers look the sender's domain up and refuse mail from one that does not resolve; a bounce to"
        " it has no way back. Between servers of one's own it may work.",
        remedy="Use a domain that is registered and has an MX or address record.",
        check=_domain_not_public,
    ),
    terms.Lint(
        identifier="helo-name-of-account-missing",
        severity=terms.LintSeverity.WARNING,
        title="The relay is not told whose session it is",
        explanation="Without credentials, the relay of Google Workspace finds the account by the domain in EHLO, or by"
        " the envelope's sender if that domain is the account's. Otherwise it answers 550 5.7.0 Mail relay denied.",
        remedy="Set delivery.heloName to a domain of the account.",
        check=_helo_unknown,
        by_facts=True,
    ),
)
