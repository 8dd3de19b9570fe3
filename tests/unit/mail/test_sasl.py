"""SASL dialogues follow the server's prompts; a password answers nothing but its own (R12)."""

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtier.api import secret, vocabulary
from mailtier.mail import sasl

_USER = "robot@corp.example"
_PASSWORD = "hunter2 hunter2"
_USERNAMES = [
    "Username:",
    "USERNAME",
    "User Name\0",
    "user name",
    "Login:",
    "Benutzername:",
    "ユーザー名:",
    "Nom d'utilisateur",
]
_PASSWORDS = [
    "Password:",
    "PASSWORD",
    "Password\0",
    "Passwort:",
    "Palavra-passe:",
    "パスワード:",
    "Contraseña:",
    "密码",
]
_OTHERS = [
    *("Token code:", "One-time password:", "Enter new password:", "Username and password:", "Password again:", "PIN"),
    *("Hello", "?", "\0", "Your password expired three days ago. Please ask the help desk for another one soon"),
]


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _dialogue(mechanism: vocabulary.Mechanism) -> sasl.Dialogue:
    return sasl.dialogue(mechanism, username=_USER, password=secret.Hidden(_PASSWORD))


def _as_challenges(texts: list[str]) -> st.SearchStrategy[str]:
    chosen = st.sampled_from(texts)
    return chosen.map(_encoded) | chosen.map(lambda text: _encoded(text).rstrip("="))


@pytest.mark.parametrize("text", _USERNAMES)
def test_prompts_for_the_user_name(text: str) -> None:
    """The user name is asked for in every case and language that servers use, encoded or not."""
    assert sasl.prompt(_encoded(text)) is sasl.Prompt.USERNAME
    assert sasl.prompt(text) is sasl.Prompt.USERNAME


@pytest.mark.parametrize("text", _PASSWORDS)
def test_prompts_for_the_password(text: str) -> None:
    """The password is asked for in every case and language that servers use, encoded or not."""
    assert sasl.prompt(_encoded(text)) is sasl.Prompt.PASSWORD
    assert sasl.prompt(text) is sasl.Prompt.PASSWORD


@pytest.mark.parametrize("text", _OTHERS)
def test_prompts_for_something_else(text: str) -> None:
    """Second factors, changes of the password, two things at once and notices are not guessed at."""
    assert sasl.prompt(_encoded(text)) is sasl.Prompt.UNKNOWN


def test_login_brings_no_initial_response() -> None:
    """What a server would ignore is not sent: no prompt can be taken for the next one."""
    assert _dialogue(vocabulary.Mechanism.LOGIN).begin() == b"AUTH LOGIN"


@given(
    st.lists(
        st.tuples(st.just("username"), _as_challenges(_USERNAMES))
        | st.tuples(st.just("password"), _as_challenges(_PASSWORDS))
        | st.tuples(
            st.just("other"), _as_challenges(_OTHERS) | st.binary(min_size=1).map(lambda data: data.hex() + "!")
        )
        | st.tuples(st.just("nothing"), st.sampled_from(["", " ", "="])),
        max_size=8,
    )
)
def test_a_password_answers_its_own_prompt_alone(asked: list[tuple[str, str]]) -> None:
    """In every order it is sent once at most: to a prompt that names it, or to the second where none is named (R12)."""
    login = _dialogue(vocabulary.Mechanism.LOGIN)
    password, username = _encoded(_PASSWORD).encode(), _encoded(_USER).encode()
    assert password not in login.begin()
    answers: list[bytes] = []
    with contextlib.suppress(sasl.DialogueError):
        for index, (wanted, challenge) in enumerate(asked):
            answer = login.answer(challenge)
            assert answer in {username, password}
            if answer == password:
                is_unnamed = [kind for kind, _ in asked[: index + 1]] == ["nothing", "nothing"]
                assert wanted == "password" or is_unnamed
                assert password not in answers
            else:
                assert wanted in {"username", "nothing"}
            answers.append(answer)
    assert len(answers) <= 3


@given(st.text())
def test_no_challenge_breaks_a_dialogue(challenge: str) -> None:
    """Whatever a server sends, there is an answer of one line or an error of ours."""
    for mechanism in (vocabulary.Mechanism.LOGIN, vocabulary.Mechanism.PLAIN, vocabulary.Mechanism.XOAUTH2):
        with contextlib.suppress(sasl.DialogueError):
            assert b"\n" not in _dialogue(mechanism).answer(challenge)


@given(st.lists(st.sampled_from(["", "=", *map(_encoded, [*_USERNAMES, *_PASSWORDS, *_OTHERS])]), max_size=6))
def test_plain_and_xoauth2_answer_an_empty_challenge_once(challenges: list[str]) -> None:
    """The payload goes out with the command, and once more for a server that asks as if it had not."""
    for mechanism in (vocabulary.Mechanism.PLAIN, vocabulary.Mechanism.XOAUTH2):
        dialogue = _dialogue(mechanism)
        payload = dialogue.begin().split(b" ")[2]
        answers = []
        with contextlib.suppress(sasl.DialogueError):
            for challenge in challenges:
                answers.append(answer := dialogue.answer(challenge))
                assert answer != payload or challenge in {"", "="}
        assert set(answers) <= {payload, b""}
        assert answers.count(payload) <= 1


def test_a_refusal_of_xoauth2_is_answered_by_an_empty_line() -> None:
    """The error comes as a challenge, and the reply after the empty answer."""
    dialogue = _dialogue(vocabulary.Mechanism.XOAUTH2)
    dialogue.begin()
    assert dialogue.answer(_encoded('{"status":"401","schemes":"bearer","scope":"https://mail.example/"}')) == b""
    with pytest.raises(sasl.DialogueError, match="after it had refused"):
        dialogue.answer("")


def test_a_second_prompt_for_the_password_is_no_second_try() -> None:
    """A server that asks again has refused it (R12)."""
    login = _dialogue(vocabulary.Mechanism.LOGIN)
    login.answer(_encoded("Password:"))
    with pytest.raises(sasl.DialogueError, match="twice"):
        login.answer(_encoded("Password:"))


def test_what_is_anonymous_has_no_dialogue() -> None:
    """Nothing is said where the settings name no credentials."""
    with pytest.raises(ValueError, match="nobody asks"):
        _dialogue(vocabulary.Mechanism.ANONYMOUS)


def test_what_is_offered_instead_is_named() -> None:
    """Known names only, in any case, each once."""
    told = sasl.not_offered("XOAUTH2", ["login", "PLAIN", "Login", "hunter2", "\x1b[2J"])
    assert told == "The SMTP server does not offer XOAUTH2; it offers PLAIN, LOGIN."


def test_nothing_and_nothing_known_are_told_apart() -> None:
    """A server without AUTH is another case than one with mechanisms of its own."""
    assert sasl.not_offered("PLAIN", []).endswith("it offers no authentication.")
    assert sasl.not_offered("PLAIN", ["X-OURS"]).endswith("it offers none that is known.")


@given(st.lists(st.text()))
def test_no_text_of_a_server_is_repeated(offered: list[str]) -> None:
    """Every word of the list is one of ours, whatever the server says (R7)."""
    words = sasl.not_offered("PLAIN", offered).partition("it offers ")[2].removesuffix(".")
    allowed = {*sasl.REGISTERED, "no authentication", "none that is known"}
    assert set(words.split(", ")) <= allowed
