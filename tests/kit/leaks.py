"""Searches what a run wrote for its secrets, in every form that they are known to take (R1)."""

import base64
import collections.abc
import dataclasses
import html
import json
import quopri
import urllib.parse

_SHIFTS = range(3)
"""Within a longer text the base64 of a secret has three forms, by how many bytes stand before its own."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """Something that may be found nowhere.

    Attributes:
        name: What it is, for the failure's text.
        value: What is searched for.
        username: Whose password it is; "" for what is never sent with AUTH.
    """

    name: str
    value: str = dataclasses.field(repr=False)
    username: str = ""

    def forms(self) -> dict[str, str]:
        """Return the texts that would give it away, by what each of them is."""
        raw = self.value.encode()
        forms = {
            "plain": self.value,
            "JSON": json.dumps(self.value)[1:-1],
            "HTML": html.escape(self.value),
            "percent-encoded": urllib.parse.quote(self.value, safe=""),
            "form-encoded": urllib.parse.quote_plus(self.value),
            "quoted-printable": quopri.encodestring(raw).decode("ascii").strip(),
            "hexadecimal": raw.hex(),
        }
        for shift in _SHIFTS:
            # The first and the last group also depend on the neighbours; they are left out.
            encoded = base64.b64encode(b"-" * shift + raw).decode("ascii").rstrip("=")
            forms[f"base64 after {shift} bytes"] = encoded[4 if shift else 0 : -2]
        if self.username:
            plain = base64.b64encode(f"\0{self.username}\0{self.value}".encode()).decode("ascii")
            forms["AUTH PLAIN"] = plain.rstrip("=")[:-2]
            bearer = base64.b64encode(f"user={self.username}\1auth=Bearer {self.value}\1\1".encode()).decode("ascii")
            forms["AUTH XOAUTH2"] = bearer.rstrip("=")[:-4]
        return forms


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """A secret that was found.

    Attributes:
        where: The trace.
        what: The secret's name.
        form: The form in which it stood there.
    """

    where: str
    what: str
    form: str


def search(traces: collections.abc.Mapping[str, bytes], secrets: collections.abc.Iterable[Secret]) -> list[Leak]:
    """Return every secret that stands in a trace.

    Args:
        traces: What was written, by where.
        secrets: What may stand in none of it.
    """
    needles = [
        (secret, form, text.encode("utf-8", "surrogatepass"))
        for secret in secrets
        for form, text in secret.forms().items()
    ]
    return [
        Leak(where=where, what=secret.name, form=form)
        for where, content in traces.items()
        for secret, form, needle in needles
        if needle in content
    ]
