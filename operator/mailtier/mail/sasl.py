"""Names of SASL mechanisms: what may be said of those that a server offers."""

from collections.abc import Iterable
from typing import Final

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
