"""What is stored of what a notification says."""

from hypothesis import given
from hypothesis import strategies as st

from kit import queues
from mailtier.sender.queueing import payloads

_TEXT = st.none() | st.text(st.characters(codec="utf-8"))


@given(subject=_TEXT, text=_TEXT, data=st.dictionaries(st.text(st.characters(codec="utf-8")), st.text('aé☃𝄞\n"')))
def test_what_is_encoded_is_decoded(subject: str | None, text: str | None, data: dict[str, str]) -> None:
    """A message is built from exactly what was handed over, an absent text included."""
    body = payloads.encode(queues.notification(subject=subject, text=text, data=data))
    assert payloads.decode(body) == {"subject": subject, "text": text, "data": data}


def test_bytes_are_counted_as_they_are_stored() -> None:
    """A letter that UTF-8 writes in two bytes counts as two, not as an escape of six."""
    short = len(payloads.encode(queues.notification(text="e" * 100)))
    assert len(payloads.encode(queues.notification(text="é" * 100))) - short in range(98, 103)
