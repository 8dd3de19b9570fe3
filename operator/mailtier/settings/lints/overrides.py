"""Lints about the two tiers together: overrides that do nothing. They are for the organization alone."""

from collections.abc import Iterator
from typing import Final

from mailtier.api import vocabulary
from mailtier.settings.lints import terms

_HOST, _ORG = vocabulary.Origin.HOST, vocabulary.Origin.ORG
_SENDERS: Final = (("address", "address"), ("displayName", "display_name"), ("replyTo", "reply_to"))
_CAPPED: Final = (("ratePerMinute", "rate_per_minute"), ("maxAge", "max_age"))


def _capped(subject: terms.Subject) -> Iterator[terms.Notice]:
    delivery = subject.org.delivery if subject.org is not None and subject.viewer == _ORG else None
    for name, attribute in _CAPPED:
        is_set = delivery is not None and getattr(delivery, attribute) is not None
        if is_set and subject.effective.provenance.get(f"delivery.{name}") == _HOST:
            yield terms.Notice(
                field=f"spec.delivery.{name}",
                message="is above the host's limit, which is used instead while the endpoint is inherited; lower or"
                " remove it",
            )


def _repeated(subject: terms.Subject) -> Iterator[terms.Notice]:
    if subject.viewer != _ORG or subject.org is None or subject.host is None:
        return
    mine, hosts = subject.org.from_, subject.host.from_
    if mine is None or hosts is None:
        return
    for name, attribute in _SENDERS:
        value = getattr(mine, attribute)
        if value is not None and value == getattr(hosts, attribute):
            yield terms.Notice(
                field=f"spec.from.{name}",
                message="repeats what the host says, and stays behind when the host changes it; remove it",
            )


LINTS: Final = (
    terms.Lint(
        identifier="limit-above-host",
        severity=terms.LintSeverity.WARNING,
        title="A limit has no effect, because the host's is lower",
        explanation="On an inherited endpoint an organization may be slower and less patient than the host says, not"
        " faster or more patient; the lower value is used.",
        remedy="Lower the limit, or remove it.",
        check=_capped,
    ),
    terms.Lint(
        identifier="override-repeats-host",
        severity=terms.LintSeverity.INFO,
        title="An override repeats the host's value",
        explanation="It changes nothing today. When the platform team changes the host's value, this organization keeps"
        " the old one.",
        remedy="Remove the override to inherit the value.",
        check=_repeated,
    ),
)
