"""What is known of a mail provider, and where it was read."""

import dataclasses
import datetime as dt
import enum
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from mailtier.api import vocabulary

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FactSource:
    """Where a fact was read.

    Attributes:
        title: Of the page.
        looked_up: The day on which the page said so.
    """

    title: str
    url: str
    looked_up: dt.date


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fact(Generic[_T]):
    """One thing that is known of a provider.

    Attributes:
        note: What a reader has to know beside the value; without a final full stop.
        verified: Whether a page of the provider's own, or of the server's makers, says all of it. What rests on a fact
            that is not verified is a Warning at most.
    """

    value: _T
    source: FactSource
    note: str = ""
    verified: bool = True


class SenderRule(enum.Enum):
    """Which From addresses a provider takes."""

    ACCOUNT = enum.auto()
    """The account's own, and those it was allowed beside it."""
    VERIFIED = enum.auto()
    """Those of domains or addresses that were verified with the provider."""
    SERVER = enum.auto()
    """As the server was configured."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class UsernameRule:
    """What a username looks like.

    Attributes:
        matches: Whether a rendered username fits; it is never quoted.
        sentence: What it has to be, as it follows "the username".
    """

    matches: Callable[[str], bool]
    sentence: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OAuth2Facts:
    """How access tokens are got.

    Attributes:
        token_url: With `<tenant>` where the account's own has to stand.
        scopes: What a token has to be asked for, by grant; a grant that is not in it is not offered.
    """

    token_url: str
    scopes: tuple[tuple[vocabulary.GrantType, tuple[str, ...]], ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProviderLimits:
    """What an account may send; None where the provider publishes no number.

    Attributes:
        messages_per_day: In any 24 hours.
        recipients_per_day: In any 24 hours, each counted as often as it is written to.
        connections: At the same time.
        message_bytes: With its attachments, as it is sent.
    """

    messages_per_day: Fact[int] | None = None
    recipients_per_day: Fact[int] | None = None
    recipients_per_message: Fact[int] | None = None
    messages_per_minute: Fact[int] | None = None
    connections: Fact[int] | None = None
    messages_per_connection: Fact[int] | None = None
    message_bytes: Fact[int] | None = None

    def known(self) -> list[tuple[str, Fact[int]]]:
        """Return what each published number counts, and the number."""
        found = ((words, getattr(self, name)) for name, words in LIMITS.items())
        return [(words, fact) for words, fact in found if fact is not None]


LIMITS: Final = {
    "messages_per_day": "messages a day",
    "recipients_per_day": "recipients a day",
    "recipients_per_message": "recipients a message",
    "messages_per_minute": "messages a minute",
    "connections": "connections at the same time",
    "messages_per_connection": "messages in a connection",
    "message_bytes": "bytes of a message",
}
"""What each limit counts."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KnownError:
    """A refusal that means one thing at this provider.

    Attributes:
        code: The reply's.
        enhanced: Its enhanced code; None where the provider gives none or varies it.
        text: What the reply says, in lower case, where the codes alone would not do.
        meaning: What is wrong; without a final full stop.
        remedy: What to do; a sentence.
    """

    code: int
    enhanced: str | None = None
    text: str | None = None
    meaning: str
    remedy: str
    source: FactSource


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Values of an example that only its reader could choose; the rest follows from the facts.

    Attributes:
        username: None for a session without credentials.
        token_url: Set where the example authenticates with OAuth 2.0.
    """

    host: str
    username: str | None
    from_address: str
    mechanism: vocabulary.Mechanism | None = None
    token_url: str | None = None
    grant: vocabulary.GrantType | None = None
    helo_name: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A mail provider, or a server that many run themselves.

    Attributes:
        name: A DNS label; the name of its page.
        summary: What it is, in sentences.
        hosts: Its servers, with `*` for exactly one label; empty for what stands under everybody's own name.
        aliases: Other names that lead to these servers, as `hosts` has them; None where none is known.
        starttls: Ports that speak in clear until STARTTLS.
        implicit: Ports that speak TLS from the first byte; None where there are none.
        anonymous: Whether a session without credentials can send.
        sender: Which From addresses are taken; its note says what becomes of others.
        binds_from: Whether the provider itself keeps a login to the From addresses of its own account, so that the
            host's policy on senders need not.
        shared_usernames: What everybody's username is, whoever's the account; None where each account has its own.
        mechanisms: What the server offers after TLS; None where it depends on the server.
        names_itself: Whether a session without credentials is known by the name that it gives in EHLO.
        passwords_end: From which day on passwords are refused unless somebody allows them again.
        steps: What has to be done at the provider before the first message, in its order; sentences.
        short_names: What people call it beside its name.
        unverified: What could not be read anywhere, or only at third hand; sentences.
    """

    name: str
    title: str
    summary: str
    hosts: Fact[tuple[str, ...]] | None
    starttls: Fact[tuple[int, ...]]
    implicit: Fact[tuple[int, ...]] | None
    anonymous: Fact[bool]
    sender: Fact[SenderRule]
    binds_from: Fact[bool]
    username: Fact[UsernameRule] | None
    mechanisms: Fact[tuple[vocabulary.Mechanism, ...]] | None
    oauth2: Fact[OAuth2Facts] | None
    limits: ProviderLimits
    errors: tuple[KnownError, ...]
    steps: tuple[Fact[str], ...]
    sample: Sample
    short_names: tuple[str, ...] = ()
    names_itself: bool = False
    passwords_end: Fact[dt.date] | None = None
    shared_usernames: Fact[tuple[str, ...]] | None = None
    aliases: Fact[tuple[str, ...]] | None = None
    unverified: tuple[str, ...] = ()
