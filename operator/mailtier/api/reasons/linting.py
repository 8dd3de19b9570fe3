"""Reasons of Linted: whether a mail administrator would say something about settings that work."""

from typing import Final

from mailtier.api import vocabulary
from mailtier.api.reasons import definition

_L: Final = vocabulary.Condition.LINTED

NO_FINDINGS: Final = definition.Reason(
    name="NoFindings", conditions=(_L,), meaning="No lint has anything to say.", remedy=definition.NOTHING
)
NOTES: Final = definition.Reason(
    name="Notes",
    conditions=(_L,),
    meaning="Lints found something that is worth knowing, and nothing that is likely to be a mistake.",
    remedy="Look at the message; the reference of lints explains each identifier in it.",
)
WARNINGS: Final = definition.Reason(
    name="Warnings",
    conditions=(_L,),
    meaning="Lints found something with which mail may be refused, lost or late.",
    remedy="Look at the message; the reference of lints explains each identifier in it.",
)
ERRORS: Final = definition.Reason(
    name="Errors",
    conditions=(_L,),
    meaning="Lints found something with which mail does not leave, or what is secret is not safe.",
    remedy="Look at the message; the reference of lints explains each identifier in it.",
)
NOT_LINTED: Final = definition.Reason(
    name="NotLinted",
    conditions=(_L,),
    meaning="Settings that are invalid, or under an unknown policy, are not looked at by lints.",
    remedy="Mend what Accepted says first.",
)
