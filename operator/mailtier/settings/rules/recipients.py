"""What is wrong with whom mail is for."""

from mailtier.api import addresses, reasons
from mailtier.settings import effective, recipients, tiers
from mailtier.settings.rules import cases


@cases.rule(audited=cases.never)
def recipient_unusable(case: cases.Case) -> effective.Finding | None:
    """A category's recipient that the apiserver took by its shape and that no message can be sent to."""
    for category, values in case.values.notifications.items():
        path = f"notifications.{tiers.CATEGORY_PATHS[category]}.recipients"
        problems = ((index, addresses.problem(address)) for index, address in enumerate(values.recipients))
        index, error = next(((index, error) for index, error in problems if error is not None), (0, None))
        if error is None:
            continue
        foreign = case.viewer == cases.ORG and case.values.provenance.get(path) == cases.HOST
        if foreign:
            told = f"one of the host's {path} cannot be used; {cases.ASK}"
            return effective.Finding(reason=reasons.INVALID, field="", message=told)
        return effective.Finding(reason=reasons.INVALID, field=f"spec.{path}[{index}]", message=f"{error}; correct it")
    return None


@cases.rule(audited=cases.always)
def recipient_not_allowed(case: cases.Case) -> effective.Finding | None:
    """A category's recipient in a domain that the host does not list; those that the host names are its own choice."""
    for category, values in case.values.notifications.items():
        path = f"notifications.{tiers.CATEGORY_PATHS[category]}.recipients"
        if case.values.provenance.get(path) != cases.ORG:
            continue
        foreign = [
            address for address in values.recipients if not recipients.is_listed(address, case.values.recipients)
        ]
        if foreign:
            return effective.Finding(
                reason=reasons.RECIPIENT_NOT_ALLOWED,
                field=f"spec.{path}",
                message=f"{cases.listed(foreign)} may not be written to; the host's policy.recipients.domains allows"
                f" {recipients.describe(case.values.recipients)}; name such recipients, or have the platform team"
                " extend the list",
            )
    return None
