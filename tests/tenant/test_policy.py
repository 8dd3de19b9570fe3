"""Policy: what the host forbids, by a way around the words in which it forbids it."""

import pytest

from kit import attacks, tiers


def _host(**policy: object) -> attacks.Json:
    return tiers.RELAY | {"policy": policy}


def _recipients(*addresses: str) -> attacks.Json:
    return {"notifications": {"jobAlert": {"recipients": list(addresses)}}}


def _judged(
    name: str, story: str, stopped_by: str, *, spec: attacks.Json, host: attacks.Json, reason: str
) -> attacks.Judged:
    return attacks.Judged(
        name=name,
        rules=("R3", "R6"),
        story=story,
        stopped_by=stopped_by,
        spec=spec,
        host=host,
        annotation=None if reason == "SecretNotBound" else attacks.BOUND,
        reason=reason,
    )


_DOMAINS = _host(recipients={"domains": ["example.com", "*.example.org"]})
_AUDIT = _host(mode="Audit", endpoints={"allow": [{"host": "*"}]})

ATTACKS = (
    _judged(
        "recipients-behind-the-domain",
        "Alerts go to a domain that begins like an allowed one.",
        "a domain is compared to its end",
        spec=_recipients("a@example.com.evil.example"),
        host=_DOMAINS,
        reason="RecipientNotAllowed",
    ),
    _judged(
        "recipients-below-the-domain",
        "Alerts go to a domain below an allowed one, which somebody else may hold.",
        "a name allows itself alone",
        spec=_recipients("a@mail.example.com"),
        host=_DOMAINS,
        reason="RecipientNotAllowed",
    ),
    _judged(
        "recipients-at-the-wildcard-s-own-domain",
        "Alerts go to the domain itself of which only what is below is allowed.",
        "the glob *.x is what is below x",
        spec=_recipients("a@example.org"),
        host=_DOMAINS,
        reason="RecipientNotAllowed",
    ),
    _judged(
        "one-recipient-among-many",
        "One recipient of twenty is outside, between others that are allowed.",
        "each recipient of each category is looked at",
        spec=_recipients(*[f"{number}@example.com" for number in range(10)], "a@evil.example"),
        host=_DOMAINS,
        reason="RecipientNotAllowed",
    ),
    _judged(
        "a-locked-group-by-one-field",
        "The host locks from, and the organization sets a single field of it.",
        "a lock on a group covers its fields",
        spec={"from": {"displayName": "Platform"}},
        host=_host(locked=["from"]),
        reason="FieldLocked",
    ),
    _judged(
        "a-locked-field-within-its-group",
        "The host locks one field, and the organization sets it beside others.",
        "each locked path is looked for in what the organization set",
        spec={"delivery": {"ratePerMinute": 5, "maxAge": "1h"}},
        host=_host(locked=["delivery.maxAge"]),
        reason="FieldLocked",
    ),
    _judged(
        "internal-address-under-audit",
        "The policy only audits, and the organization names the metadata service.",
        "Audit opens no address that is not public",
        spec=attacks.server("169.254.169.254"),
        host=_AUDIT,
        reason="EndpointNotAllowed",
    ),
    _judged(
        "password-elsewhere-under-audit",
        "The policy only audits, and the organization names a Secret that nobody has bound to its server.",
        "binding is no policy: Audit sends no password elsewhere",
        spec=attacks.server("smtp.example.org"),
        host=_AUDIT,
        reason="SecretNotBound",
    ),
    _judged(
        "the-host-s-credentials-under-audit",
        "The policy only audits, and the organization names a server and no credentials.",
        "Audit sends no password elsewhere",
        spec={"smtp": {"host": "smtp.example.org"}, "from": {"address": "a@tenant.example"}},
        host=_AUDIT,
        reason="CredentialsRequired",
    ),
)


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_there_is_no_way_around_the_policy(attack: attacks.Judged) -> None:
    """The settings are blocked or unresolved, for the rule that was meant to be evaded (R3, R6)."""
    attack.check_core()
