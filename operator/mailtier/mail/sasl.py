"""SASL dialogues as a pure state machine: challenges in, lines out; a password answers nothing but its own prompt.

R12: what goes out depends on what the server asked and on what was said before, never on the position alone. A prompt
that cannot be recognised ends the dialogue, because the only other way to go on is to guess, and a guess puts a
password where a server logs user names.
"""

import base64
import enum
import re
import unicodedata
from collections.abc import Iterable
from typing import Final, Protocol

from mailtier.api import secret, vocabulary

CANCEL: Final = b"*"
"""Ends a dialogue in which the client does not go on (RFC 4954 section 4)."""

REGISTERED: Final = (
    "PLAIN",
    "LOGIN",
    "XOAUTH2",
    "OAUTHBEARER",
    "SCRAM-SHA-256",
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-1",
    "SCRAM-SHA-1-PLUS",
    "CRAM-MD5",
    "DIGEST-MD5",
    "NTLM",
    "GSSAPI",
    "GSS-SPNEGO",
    "GS2-KRB5",
    "GS2-KRB5-PLUS",
    "KERBEROS_V4",
    "EXTERNAL",
    "ANONYMOUS",
    "OTP",
    "SKEY",
    "SECURID",
    "SAML20",
    "OPENID20",
)
"""Mechanisms that a server of mail may offer, those that settings can name first.

Source:
    https://www.iana.org/assignments/sasl-mechanisms; XOAUTH2 is Google's and Microsoft's and not registered.
"""


class Prompt(enum.Enum):
    """What a challenge asks for."""

    NOTHING = "nothing"
    """It is empty: the mechanism's rules alone say what comes next."""
    USERNAME = "user name"
    PASSWORD = "password"  # noqa: S105  # What is asked for.
    UNKNOWN = "something else"


# Words of prompts, in lower case: English, then what servers with a translated dialogue say. Accents are not compared.
# "User Name\0" and "Username:" are those of draft-murchison-sasl-login and of Microsoft's servers.
_USERNAME_WORDS: Final = (
    *("user", "login", "account", "name", "mail"),
    *("benutzer", "nutzer", "kennung", "utilisateur", "identifiant", "usuario", "utente", "gebruiker", "användar"),
    *("bruger", "bruker", "käyttäjä", "użytkownik", "uživatel", "felhasználó", "kullanici", "utilizator"),
    *("пользовател", "логин", "користувач", "ユーザ", "用户", "用戶", "使用者", "사용자"),
)
_PASSWORD_WORDS: Final = (
    *("pass", "pwd", "secret"),
    *("kennwort", "contraseñ", "clave", "senha", "wachtwoord", "lösenord", "adgangskode", "salasana", "hasło", "haslo"),
    *("heslo", "jelszó", "şifre", "parola", "парол", "パスワード", "密码", "密碼", "口令", "암호", "비밀번호"),
)

_OTHER_WORDS: Final = ("one-time", "one time", "otp", "code", "token", "new pass", "again")
"""What makes a prompt for a password one for another than that of the settings."""

_LONGEST_PROMPT: Final = 64
"""A prompt is a word or two; what is much longer is a notice in which any word may occur."""

_MOST_USERNAMES: Final = 2
"""A server that lost the first one asks again; one that asks for ever is not answered for ever."""

_MOST_PAYLOADS: Final = 2
"""The initial response, and once more for a server that ignored it."""


_UNKNOWN: Final = "The SMTP server asked during AUTH for neither user name nor password, and nothing is guessed."


class DialogueError(Exception):
    """The server asks for what is not to be said; the sentence is ours and quotes nothing."""


class Dialogue(Protocol):
    """One AUTH command, from the line that begins it to the last answer."""

    def begin(self) -> bytes:
        """Return the line that begins it, without CRLF."""

    def answer(self, challenge: str) -> bytes:
        """Return the line that answers a challenge, without CRLF.

        Args:
            challenge: What follows 334.

        Raises:
            DialogueError: It has no answer; `CANCEL` is to be sent.
        """


class Login:
    """LOGIN (draft-murchison-sasl-login-00): two prompts, each answered by what it names, in whichever order.

    The command brings no initial response, which the draft does not know: a server that ignores one asks for the
    user name once more, and a client that has sent it answers with the password.
    """

    def __init__(self, *, username: str, password: secret.Hidden) -> None:
        self._has_sent_password = False
        self._username = username
        self._password = password
        self._usernames = 0
        self._is_named = False

    def begin(self) -> bytes:
        """Return the line that begins it, without CRLF."""
        return b"AUTH LOGIN"

    def answer(self, challenge: str) -> bytes:
        """Return the line that answers a challenge, without CRLF."""
        match prompt(challenge):
            case Prompt.USERNAME:
                self._is_named = True
                return self._answer_username()
            case Prompt.PASSWORD:
                return self._answer_password()
            case Prompt.NOTHING if not self._usernames and not self._has_sent_password:
                return self._answer_username()
            case Prompt.NOTHING if self._usernames == 1 and not self._is_named:
                # A server that names nothing asks in the draft's order. One that named the first prompt and not the
                # second one asks for something that nobody can know.
                return self._answer_password()
            case _:
                raise DialogueError(_UNKNOWN)

    def _answer_username(self) -> bytes:
        if self._usernames == _MOST_USERNAMES:
            raise DialogueError(f"The SMTP server asked for the user name more than {_MOST_USERNAMES} times.")
        self._usernames += 1
        return _encoded(self._username)

    def _answer_password(self) -> bytes:
        if self._has_sent_password:
            # That would be another try with what was just refused (R12).
            raise DialogueError("The SMTP server asked for the password twice.")
        self._has_sent_password = True
        return _encoded(self._password.reveal)


class Plain:
    """PLAIN (RFC 4616): one message, with the command; again where the server asks as if there had been none."""

    def __init__(self, *, username: str, password: secret.Hidden) -> None:
        self._payload = secret.Hidden(f"\0{username}\0{password.reveal}")
        self._sent = 0

    def begin(self) -> bytes:
        """Return the line that begins it, without CRLF."""
        return b"AUTH PLAIN " + self._send()

    def answer(self, challenge: str) -> bytes:
        """Return the line that answers a challenge, without CRLF."""
        # RFC 4954 section 4: an empty challenge asks for the initial response.
        if prompt(challenge) is not Prompt.NOTHING:
            raise DialogueError(_UNKNOWN)
        if self._sent == _MOST_PAYLOADS:
            raise DialogueError("The SMTP server asked for the credentials twice.")
        return self._send()

    def _send(self) -> bytes:
        self._sent += 1
        return _encoded(self._payload.reveal)


class XOAuth2:
    """XOAUTH2: as PLAIN, but a refusal comes as a challenge, which is answered by an empty line.

    Source:
        https://developers.google.com/gmail/imap/xoauth2-protocol;
        https://learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth
    """

    def __init__(self, *, username: str, token: secret.Hidden) -> None:
        self._payload = secret.Hidden(f"user={username}\1auth=Bearer {token.reveal}\1\1")
        self._sent = 0
        self._is_refused = False

    def begin(self) -> bytes:
        """Return the line that begins it, without CRLF."""
        return b"AUTH XOAUTH2 " + self._send()

    def answer(self, challenge: str) -> bytes:
        """Return the line that answers a challenge, without CRLF."""
        if self._is_refused:
            raise DialogueError("The SMTP server went on to ask after it had refused the token.")
        if prompt(challenge) is Prompt.NOTHING and self._sent < _MOST_PAYLOADS:
            return self._send()
        self._is_refused = True
        return b""

    def _send(self) -> bytes:
        self._sent += 1
        return _encoded(self._payload.reveal)


def dialogue(mechanism: vocabulary.Mechanism, *, username: str, password: secret.Hidden) -> Dialogue:
    """Return the dialogue of a mechanism.

    Args:
        mechanism: Any but Anonymous, which has none.
        username: As the server knows it.
        password: With XOAUTH2 the access token.
    """
    match mechanism:
        case vocabulary.Mechanism.LOGIN:
            return Login(username=username, password=password)
        case vocabulary.Mechanism.PLAIN:
            return Plain(username=username, password=password)
        case vocabulary.Mechanism.XOAUTH2:
            return XOAuth2(username=username, token=password)
        case vocabulary.Mechanism.ANONYMOUS:
            raise ValueError("nothing is said of whom nobody asks")


def prompt(challenge: str) -> Prompt:
    """Return what a challenge asks for.

    Args:
        challenge: What follows 334: base64, as RFC 4954 has it, or a text as it is, as some servers send it.
    """
    text = challenge.strip()
    # "=" stands for nothing in an initial response (RFC 4954 section 4), and some servers challenge with it.
    if text in {"", "="}:
        return Prompt.NOTHING
    meant = {_meaning(candidate) for candidate in (_decoded(text), text) if candidate is not None}
    meant.discard(Prompt.UNKNOWN)
    return meant.pop() if len(meant) == 1 else Prompt.UNKNOWN


def readable(challenge: str) -> str:
    """Return a challenge as a person would read it: untrusted, not fit to be shown as it is."""
    text = challenge.strip()
    read = _decoded(text)
    return text if read is None else read


def _meaning(text: str) -> Prompt:
    folded = _folded(text)
    if not folded or len(folded) > _LONGEST_PROMPT:
        return Prompt.UNKNOWN
    asks_password = any(_folded(word) in folded for word in _PASSWORD_WORDS)
    asks_username = any(_folded(word) in folded for word in _USERNAME_WORDS)
    if asks_password == asks_username or any(word in folded for word in _OTHER_WORDS):
        return Prompt.UNKNOWN
    return Prompt.PASSWORD if asks_password else Prompt.USERNAME


def _folded(text: str) -> str:
    """Return a text in lower case and without accents, full-width forms and controls."""
    plain = "".join(char for char in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(char))
    # The Turkish dotless i is a letter of its own, not one with an accent.
    return re.sub(r"[\x00-\x20\x7f]+", " ", plain.replace("\u0131", "i")).strip()


def _decoded(text: str) -> str | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode("utf-8")
    except ValueError:
        # It is not ASCII, not base64, or not UTF-8.
        return None


def _encoded(text: str) -> bytes:
    return base64.b64encode(text.encode("utf-8"))


def not_offered(wanted: str, offered: Iterable[str]) -> str:
    """Return a sentence about a mechanism that is not among those of a server.

    The names in EHLO are a server's text, and it may put anything there: only known ones are repeated (R7).

    Args:
        wanted: The mechanism of the settings.
        offered: As the server has them, in any case.
    """
    names = {name.upper() for name in offered}
    known = [name for name in REGISTERED if name in names]
    others = "none that is known" if names else "no authentication"
    return f"The SMTP server does not offer {wanted}; it offers {', '.join(known) or others}."
