"""The one canonical form of JSON documents."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from mailtier.api import canonical, notification
from mailtier.handlers import notifications
from mailtier.sender.intake import admission

_DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_the_text_is_sorted_short_and_in_its_own_characters() -> None:
    """Equal documents are equal texts, and a text is as long as what it says."""
    assert canonical.encode({"b": [1, None], "a": "Söhne"}) == '{"a":"Söhne","b":[1,null]}'


def test_the_digest_is_that_of_the_text_in_utf_8() -> None:
    """Whoever has the text can compute the digest with any tool."""
    assert canonical.digest({"a": "Söhne"}) == hashlib.sha256('{"a":"Söhne"}'.encode()).hexdigest()


@given(st.dictionaries(st.text(), _DOCUMENTS))
def test_the_order_of_keys_does_not_matter(document: dict[str, object]) -> None:
    """Two programs that read one document in different orders agree about it."""
    assert canonical.digest(dict(reversed(document.items()))) == canonical.digest(document)


def test_an_object_and_a_request_of_the_same_content_have_one_digest() -> None:
    """Operator and sender tell contents apart by the same form, beyond ASCII too."""
    content = {"category": "JobAlert", "subject": "Öffnung — geplant", "recipients": ["a@example.com"]}
    spec = notification.NotificationSpec.model_validate(content)
    assert notifications.spec_hash(spec) == admission.digest(notification.Content.model_validate(content))
