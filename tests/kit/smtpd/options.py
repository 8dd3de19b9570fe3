"""What a test server offers and demands."""

import collections.abc
import dataclasses
import enum
import ssl


class Tls(enum.StrEnum):
    """How connections to the server are protected."""

    DISABLED = "disabled"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The server's fixed properties; what changes during a test is in its script.

    Attributes:
        tls: Whether STARTTLS is offered, TLS begins at once, or there is none.
        context: The server's TLS context, needed unless `tls` is DISABLED.
        users: Passwords by user name. Without any, and without `tokens`, AUTH is not offered and nobody must
            authenticate.
        tokens: Returns whether a user's access token is good; for XOAUTH2.
        mechanisms: The AUTH mechanisms that are offered; PLAIN, LOGIN and XOAUTH2 work, others get a 504.
        login_prompts: What LOGIN asks for ("username" or "password"), and the text that follows 334, in this order.
        ignores_initial: Whether what AUTH brings beside the mechanism is ignored, and asked for.
        require_auth: Whether MAIL is refused before AUTH; only with `users` or `tokens`.
        plaintext_auth: Whether AUTH is offered and taken on an unprotected connection.
        extensions: EHLO keywords, among them those that change what the server accepts: PIPELINING, SIZE,
            8BITMIME, SMTPUTF8, DSN, ENHANCEDSTATUSCODES. STARTTLS and AUTH come from the fields above.
        answers_groups: Whether commands that came as a group are all answered; otherwise the first alone, as by a proxy
            that offers PIPELINING for a server behind it and has none.
        size_limit_bytes: The SIZE that is announced and enforced.
        is_narrow: Whether its connections take few bytes at a time, so that a message that it does not read stays with
            the client.
        max_connections: More open connections than that are greeted with 421; None: no limit.
        hostname: The name in the greeting.
    """

    tls: Tls = Tls.DISABLED
    context: ssl.SSLContext | None = None
    users: collections.abc.Mapping[str, str] = dataclasses.field(default_factory=dict)
    tokens: collections.abc.Callable[[str, str], bool] | None = None
    mechanisms: tuple[str, ...] = ("PLAIN", "LOGIN")
    login_prompts: tuple[tuple[str, str], ...] = (("username", "VXNlcm5hbWU6"), ("password", "UGFzc3dvcmQ6"))
    ignores_initial: bool = False
    require_auth: bool = True
    plaintext_auth: bool = False
    extensions: frozenset[str] = frozenset({"PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES"})
    answers_groups: bool = True
    size_limit_bytes: int = 10 * 1024 * 1024
    is_narrow: bool = False
    max_connections: int | None = None
    hostname: str = "smtp.test"

    def __post_init__(self) -> None:
        if (self.context is None) != (self.tls is Tls.DISABLED):
            raise ValueError("a TLS context goes with STARTTLS and IMPLICIT, and with nothing else")

    @property
    def knows_clients(self) -> bool:
        """Whether there is something to authenticate with."""
        return bool(self.users) or self.tokens is not None

    def accepts(self, mechanism: str, username: str, password: str) -> bool:
        """Return whether a password, or with XOAUTH2 a token, is a user's."""
        if mechanism == "XOAUTH2":
            return self.tokens is not None and self.tokens(username, password)
        return self.users.get(username) == password

    def capabilities(self, *, protected: bool) -> list[str]:
        """Return the EHLO keywords for a connection that is protected by TLS, or not yet."""
        lines = sorted(self.extensions - {"SIZE"})
        if "SIZE" in self.extensions:
            lines.append(f"SIZE {self.size_limit_bytes}")
        if self.tls is Tls.STARTTLS and not protected:
            lines.append("STARTTLS")
        if self.knows_clients and self.takes_auth(protected=protected):
            lines.append(f"AUTH {' '.join(self.mechanisms)}")
        return lines

    def takes_auth(self, *, protected: bool) -> bool:
        """Return whether AUTH is possible on a connection in this state."""
        return protected or self.plaintext_auth
