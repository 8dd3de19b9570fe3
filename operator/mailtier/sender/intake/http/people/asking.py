"""What people ask for, read from queries and bodies."""

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Final

import pydantic
from aiohttp import web

from mailtier.api import types, vocabulary
from mailtier.mail import reasons
from mailtier.sender.between import filing
from mailtier.sender.intake.http import problems

DEFAULT_LIMIT: Final = 50
LARGEST_LIMIT: Final = 100
"""Notifications on a page, of up to 20 recipients each."""
MOST_IDS: Final = 100
PARAMETERS: Final = {
    "state": "Of a recipient of it.",
    "reason": "Of the same recipient.",
    "organization": "Whose it is.",
    "destination": "The server that its organization has now, as host or host:port.",
    "olderThan": "How long ago it was taken in at least, such as 1h30m.",
    "limit": f"Notifications on a page, at most {LARGEST_LIMIT}; {DEFAULT_LIMIT} by default.",
    "continue": "What the page before said.",
}
"""Of a list, with what each one says."""
_LONGEST: Final = 128
_LONGEST_ADDRESS: Final = 320
"""64 of the local part, an @, and 255 of the domain (RFC 5321 section 4.5.3.1)."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """Which part of which list is asked for."""

    wanted: filing.Filter
    destination: str | None
    older_than: dt.timedelta | None
    after: str | None
    limit: int


class NamedNotifications(pydantic.BaseModel):
    """The body by which notifications are named that something is to be done with."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    ids: Annotated[
        tuple[Annotated[str, pydantic.StringConstraints(min_length=1, max_length=_LONGEST)], ...],
        pydantic.Field(min_length=1, max_length=MOST_IDS),
    ]


class ClearedAddresses(pydantic.BaseModel):
    """The body by which addresses are named that are to be tried again."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    organization: Annotated[str, pydantic.StringConstraints(min_length=1, max_length=_LONGEST)] | None = None
    addresses: (
        Annotated[
            tuple[Annotated[str, pydantic.StringConstraints(min_length=1, max_length=_LONGEST_ADDRESS)], ...],
            pydantic.Field(min_length=1, max_length=MOST_IDS),
        ]
        | None
    ) = None


def listing(request: web.Request) -> ListQuery:
    """Return which list a request asks for.

    Raises:
        HttpProblem: A parameter is not known, stands twice, or is not what it should be.
    """
    query = request.query
    unknown = sorted(set(query) - set(PARAMETERS))
    if unknown or len(query) != len(set(query)):
        raise problems.HttpProblem(
            problems.MALFORMED, f"a list takes each of these parameters once: {', '.join(PARAMETERS)}"
        )
    return ListQuery(
        wanted=filing.Filter(
            state=_state(query),
            reason=_reason(query),
            organizations=[query["organization"]] if "organization" in query else None,
        ),
        destination=query.get("destination"),
        older_than=_older_than(query),
        after=query.get("continue"),
        limit=_limit(query),
    )


def ids(body: bytes) -> tuple[str, ...]:
    """Return the ids in a body, each once.

    Raises:
        HttpProblem: It does not hold any, or too many.
    """
    try:
        found = NamedNotifications.model_validate_json(body)
    except pydantic.ValidationError:
        raise problems.HttpProblem(
            problems.INVALID,
            f'the body is an object that names from one to {MOST_IDS} notifications: {{"ids": ["..."]}}',
            errors=[problems.FieldError(pointer="#/ids", detail=f"a list of 1 to {MOST_IDS} ids")],
        ) from None
    return tuple(dict.fromkeys(found.ids))


def cleared(body: bytes) -> ClearedAddresses:
    """Return which addresses a body names.

    Raises:
        HttpProblem: It says something else.
    """
    try:
        return ClearedAddresses.model_validate_json(body)
    except pydantic.ValidationError:
        raise problems.HttpProblem(
            problems.INVALID,
            f'the body is an object such as {{"organization": "default", "addresses": ["..."]}}: an organization, or'
            f" none for all of the namespace; from one to {MOST_IDS} addresses, or none for all",
            errors=[problems.FieldError(pointer="#/addresses", detail=f"a list of 1 to {MOST_IDS} addresses")],
        ) from None


def suppression_after(request: web.Request) -> filing.SuppressionKey:
    """Return after what a list of suppressed addresses goes on.

    Raises:
        HttpProblem: A parameter is not known, stands twice, or is not what it should be.
    """
    query = request.query
    organization, slash, address = query.get("continue", "/").partition("/")
    if set(query) - {"continue"} or len(query) > 1 or not slash:
        raise problems.HttpProblem(
            problems.MALFORMED, "this list takes one parameter, once: `continue`, which the page before said"
        )
    return organization, address


def _state(query: Mapping[str, str]) -> vocabulary.RecipientState | None:
    named = query.get("state")
    if named is None:
        return None
    try:
        return vocabulary.RecipientState(named)
    except ValueError:
        known = ", ".join(state.value for state in vocabulary.RecipientState)
        raise problems.HttpProblem(problems.MALFORMED, f"the parameter state is one of {known}") from None


def _reason(query: Mapping[str, str]) -> str | None:
    named = query.get("reason")
    if named is not None and named not in {each.value for each in reasons.DeliveryReason}:
        raise problems.HttpProblem(
            problems.MALFORMED, "the parameter reason is one that a recipient may have, as the reference lists them"
        )
    return named


def _older_than(query: Mapping[str, str]) -> dt.timedelta | None:
    named = query.get("olderThan")
    if named is None:
        return None
    try:
        found = types.parse_duration(named)
        # What lies before all times is older than everything.
        return min(found, dt.timedelta(days=3650))
    except (ValueError, OverflowError):
        raise problems.HttpProblem(
            problems.MALFORMED, "the parameter olderThan is a duration such as 90s, 5m or 1h30m"
        ) from None


def _limit(query: Mapping[str, str]) -> int:
    named = query.get("limit", str(DEFAULT_LIMIT))
    if not (named.isascii() and named.isdecimal() and len(named) <= len(str(LARGEST_LIMIT))):
        named = "0"
    if not 1 <= int(named) <= LARGEST_LIMIT:
        raise problems.HttpProblem(problems.MALFORMED, f"the parameter limit is from 1 to {LARGEST_LIMIT}")
    return int(named)
