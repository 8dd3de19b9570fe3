"""Whom organizations may write to: `policy.recipients.domains` of the host."""

from mailtier.api import policies, text, vocabulary
from mailtier.settings import effective, globs


def rules(policy: policies.Policy | None) -> effective.RecipientRules:
    """Return the rules that a host's policy sets; None is its default, which is everybody."""
    if policy is None or policy.recipients is None:
        return effective.RecipientRules()
    return effective.RecipientRules(
        # A set in a canonical order: what is equal must be equal text.
        domains=tuple(sorted(text.lower_ascii(glob) for glob in policy.recipients.domains)),
        enforced=policy.mode != vocabulary.PolicyMode.AUDIT,
    )


def is_listed(address: str, recipients: effective.RecipientRules) -> bool:
    """Return whether a recipient's domain is among those that may be written to.

    Args:
        address: As the API's models take it: ASCII, one `@`.
        recipients: The rules, whether or not they are enforced.
    """
    if recipients.domains is None:
        return True
    domain = text.lower_ascii(address.rpartition("@")[2])
    return any(globs.matches(glob, domain) for glob in recipients.domains)


def describe(recipients: effective.RecipientRules) -> str:
    """Return whom one may write to, for a message."""
    if recipients.domains is None:
        return "everybody"
    if not recipients.domains:
        return "nobody"
    shown = ", ".join(recipients.domains[:10])
    hidden = len(recipients.domains) - 10
    return f"recipients in {shown}" + (f" and {hidden} more domains" if hidden > 0 else "")
