"""What a well-behaved server answers: the state of one SMTP session (RFC 5321), without any I/O."""

import collections.abc
import dataclasses
import enum
import re

from kit.smtpd import auth, options

_PATH = re.compile(r"(?:FROM|TO):\s*<(.*)>(?: (.*))?$", re.IGNORECASE)
_ENHANCED = re.compile(r"^(\d{3}[ -])[245]\.\d{1,3}\.\d{1,3} ")

# Commands after which a client must wait for the reply (RFC 2920 section 3.1, RFC 3207, RFC 4954).
LAST_IN_GROUP = frozenset({"EHLO", "HELO", "DATA", "VRFY", "EXPN", "NOOP", "QUIT", "STARTTLS", "AUTH"})


class Then(enum.Enum):
    """What follows once an answer has been sent."""

    NOTHING = enum.auto()
    UPGRADE = enum.auto()
    CLOSE = enum.auto()


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """A reply, one line or several, and what follows it."""

    reply: str
    then: Then = Then.NOTHING


@dataclasses.dataclass(frozen=True, slots=True)
class Envelope:
    """A mail transaction's reverse path with its parameters, and the forward paths so far."""

    mail_from: str
    parameters: tuple[str, ...]
    rcpt_to: tuple[str, ...] = ()


class Dialogue:
    """One session's state. Its methods have a command's effect and return the ordinary answer."""

    def __init__(self, settings: options.Options) -> None:
        self._options = settings
        self.protected = False
        self.username: str | None = None
        self.envelope: Envelope | None = None
        self.in_data = False
        self.exchange: auth.Exchange | None = None
        self._greeted = False
        self._handlers: dict[str, collections.abc.Callable[[str], Answer]] = {
            "EHLO": self._ehlo,
            "HELO": self._helo,
            "STARTTLS": self._starttls,
            "AUTH": self._auth,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "RSET": self._rset,
            "NOOP": lambda _: Answer("250 2.0.0 Ok"),
            "VRFY": lambda _: Answer("252 2.5.0 Cannot verify"),
            "QUIT": lambda _: Answer("221 2.0.0 Bye", Then.CLOSE),
        }

    def greeting(self, *, crowded: bool) -> Answer:
        """Return the greeting, a refusal when there are too many connections already."""
        if crowded:
            return Answer(f"421 4.7.0 {self._options.hostname} Too many connections", Then.CLOSE)
        return Answer(f"220 {self._options.hostname} ESMTP")

    def command(self, line: str) -> Answer:
        """Return the answer to a command line."""
        verb, _, rest = line.partition(" ")
        handler = self._handlers.get(verb.upper())
        if handler is None:
            return Answer("500 5.5.2 Command not recognized")
        return handler(rest)

    def became_protected(self) -> None:
        """Forget what was said before TLS began (RFC 3207 section 4.2)."""
        self.protected = True
        self._greeted = False
        self.username = None
        self.envelope = None

    def polish(self, reply: str) -> str:
        """Return the reply without its enhanced status code if that extension is not offered (RFC 2034)."""
        if "ENHANCEDSTATUSCODES" in self._options.extensions:
            return reply
        return "\n".join(_ENHANCED.sub(r"\1", line) for line in reply.split("\n"))

    def finish_auth(self, *, accepted: bool) -> Answer:
        """Return the verdict on an exchange that is complete."""
        exchange, self.exchange = self.exchange, None
        credentials = None if exchange is None else exchange.credentials()
        if credentials is None:
            return Answer("501 5.5.2 Cannot decode the response")
        if not accepted:
            return Answer("535 5.7.8 Authentication credentials invalid")
        self.username = credentials[0]
        return Answer("235 2.7.0 Authentication successful")

    def finish_data(self, content: bytes) -> Answer:
        """Return what becomes of a message's content; 250 if it may be recorded."""
        self.in_data = False
        self.envelope = None
        if "SIZE" in self._options.extensions and len(content) > self._options.size_limit_bytes:
            return Answer("552 5.3.4 Message too big")
        return Answer("250 2.0.0 Ok: queued")

    def _ehlo(self, rest: str) -> Answer:
        if not rest:
            return Answer("501 5.5.4 EHLO needs a name")
        self._greeted = True
        self.envelope = None
        lines = [self._options.hostname, *self._options.capabilities(protected=self.protected)]
        return Answer("\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"]))

    def _helo(self, rest: str) -> Answer:
        if not rest:
            return Answer("501 5.5.4 HELO needs a name")
        self._greeted = True
        self.envelope = None
        return Answer(f"250 {self._options.hostname}")

    def _starttls(self, _: str) -> Answer:
        if self._options.tls is not options.Tls.STARTTLS or self.protected:
            return Answer("502 5.5.1 STARTTLS is not available")
        return Answer("220 2.0.0 Ready to start TLS", Then.UPGRADE)

    def _auth(self, rest: str) -> Answer:
        mechanism, _, initial = rest.partition(" ")
        mechanism = mechanism.upper()
        if not self._options.knows_clients or not self._greeted:
            return Answer("503 5.5.1 AUTH is not available")
        if not self._options.takes_auth(protected=self.protected):
            return Answer("538 5.7.11 Encryption required for the requested mechanism")
        if self.username is not None:
            return Answer("503 5.5.1 Already authenticated")
        if mechanism not in self._options.mechanisms or not auth.Exchange.knows(mechanism):
            return Answer("504 5.5.4 Mechanism not supported")
        brought = None if self._options.ignores_initial else initial or None
        self.exchange = auth.Exchange(mechanism, brought, prompts=self._options.login_prompts)
        return self.next_challenge()

    def next_challenge(self) -> Answer:
        """Return the exchange's next challenge, an empty answer when it is complete."""
        challenge = self.exchange and self.exchange.challenge()
        return Answer(challenge or "")

    def _mail(self, rest: str) -> Answer:
        found = _PATH.match(rest)
        if not self._greeted:
            return Answer("503 5.5.1 Say EHLO first")
        if self._options.knows_clients and self._options.require_auth and self.username is None:
            return Answer("530 5.7.0 Authentication required")
        if self.envelope is not None:
            return Answer("503 5.5.1 A transaction is in progress")
        if found is None or not rest.upper().startswith("FROM:"):
            return Answer("501 5.5.4 Syntax: MAIL FROM:<address>")
        parameters = tuple((found[2] or "").split())
        refusal = self._refused_parameters(found[1], parameters)
        if refusal is None:
            self.envelope = Envelope(found[1], parameters)
        return refusal or Answer("250 2.1.0 Sender ok")

    def _refused_parameters(self, address: str, parameters: tuple[str, ...]) -> Answer | None:
        """Return why MAIL's parameters do not fit what was offered, or None."""
        wanted = {"SIZE": "SIZE", "BODY": "8BITMIME", "SMTPUTF8": "SMTPUTF8", "RET": "DSN"}
        for parameter in parameters:
            keyword, _, value = parameter.upper().partition("=")
            if wanted.get(keyword) not in self._options.extensions:
                return Answer(f"555 5.5.4 Unknown parameter {keyword}")
            if keyword == "SIZE" and (not value.isdigit() or int(value) > self._options.size_limit_bytes):
                return Answer("552 5.3.4 Message too big")
        if not address.isascii() and "SMTPUTF8" not in map(str.upper, parameters):
            return Answer("553 5.6.7 A non-ASCII address needs SMTPUTF8")
        return None

    def _rcpt(self, rest: str) -> Answer:
        found = _PATH.match(rest)
        if self.envelope is None:
            return Answer("503 5.5.1 Say MAIL first")
        if found is None or not rest.upper().startswith("TO:") or not found[1]:
            return Answer("501 5.5.4 Syntax: RCPT TO:<address>")
        if not found[1].isascii() and "SMTPUTF8" not in map(str.upper, self.envelope.parameters):
            return Answer("553 5.6.7 A non-ASCII address needs SMTPUTF8")
        self.envelope = dataclasses.replace(self.envelope, rcpt_to=(*self.envelope.rcpt_to, found[1]))
        return Answer("250 2.1.5 Recipient ok")

    def _data(self, _: str) -> Answer:
        if self.envelope is None:
            return Answer("503 5.5.1 Say MAIL first")
        if not self.envelope.rcpt_to:
            # With PIPELINING, DATA follows refused recipients (RFC 2920 section 3.1).
            return Answer("554 5.5.1 No valid recipients")
        self.in_data = True
        return Answer("354 End with a dot on a line of its own")

    def _rset(self, _: str) -> Answer:
        self.envelope = None
        return Answer("250 2.0.0 Ok")
