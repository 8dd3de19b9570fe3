"""The server's side of an AUTH exchange.

RFC 4954, RFC 4616, the LOGIN of draft-murchison-sasl-login, and Google's XOAUTH2 protocol.
"""

import base64
import binascii
import re

_MECHANISMS = frozenset({"PLAIN", "LOGIN", "XOAUTH2"})
_BEARER = re.compile(r"user=([^\x01]*)\x01auth=Bearer ([^\x01]*)\x01\x01")
_REFUSAL = base64.b64encode(b'{"status":"401","schemes":"bearer","scope":"https://mail.example.com/"}').decode("ascii")


class Exchange:
    """One AUTH command until its credentials are complete.

    Args:
        mechanism: `PLAIN`, `LOGIN` or `XOAUTH2`.
        initial: The initial response in base64, if the command brought one.
        prompts: What LOGIN asks for, and in which words.

    Attributes:
        is_refused: Whether the client still has to answer the challenge that tells of the refusal.
    """

    def __init__(self, mechanism: str, initial: str | None, *, prompts: tuple[tuple[str, str], ...]) -> None:
        self.mechanism = mechanism
        self._prompts = prompts if mechanism == "LOGIN" else (("payload", ""),)
        self.is_refused = False
        self._responses: list[str] = []
        if initial is not None:
            # "=" stands for an empty response (RFC 4954 section 4).
            self._responses.append("" if initial == "=" else initial)

    @staticmethod
    def knows(mechanism: str) -> bool:
        """Return whether the mechanism is implemented."""
        return mechanism in _MECHANISMS

    def challenge(self) -> str | None:
        """Return the next challenge, or None when the exchange is complete."""
        answered = len(self._responses)
        return f"334 {self._prompts[answered][1]}" if answered < len(self._prompts) else None

    def refuse(self) -> str | None:
        """Return the challenge that tells of a refusal before it is said; None where the mechanism has none."""
        if self.mechanism != "XOAUTH2":
            return None
        self.is_refused = True
        return f"334 {_REFUSAL}"

    def take(self, response: str) -> None:
        """Take the client's answer to the last challenge."""
        self._responses.append(response)

    @property
    def payload(self) -> str:
        """The last response as it went over the wire; it holds the password."""
        return self._responses[-1]

    def credentials(self) -> tuple[str, str] | None:
        """Return the user name and password, or None when the responses cannot be read."""
        try:
            parts = [base64.b64decode(part, validate=True).decode() for part in self._responses]
        except (binascii.Error, UnicodeDecodeError):
            return None
        if self.mechanism == "PLAIN":
            parts = parts[0].split("\0")[1:]
        elif self.mechanism == "XOAUTH2":
            found = _BEARER.fullmatch(parts[0])
            parts = list(found.groups()) if found else []
        else:
            # The last answer to each counts, as where a server asks again.
            asked = {name: part for (name, _), part in zip(self._prompts, parts, strict=False)}
            parts = [asked.get("username", ""), asked.get("password", "")]
        return (parts[0], parts[1]) if len(parts) == 2 else None
