"""The completion journal: what survives in it, torn or whole."""

import pathlib

import hypothesis
import pytest
from hypothesis import strategies as st

from mailtier.sender.queueing import crashes
from mailtier.sender.storage import journal


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return where a journal may stand."""
    return tmp_path / "journal"


def _notes(path: pathlib.Path) -> set[tuple[int, int | None, bool]]:
    return {(note.recipient_number, note.snapshot, note.accepted) for note in journal.read(path)}


def _find(open_: journal.Journal, recipient_number: int) -> crashes.Note:
    note = open_.find(recipient_number)
    assert note is not None
    return note


def test_no_journal_says_nothing(path: pathlib.Path) -> None:
    """A queue that is opened for the first time has no notes."""
    assert journal.read(path) == ()


def test_notes_are_read_back(path: pathlib.Path) -> None:
    """A reader of the file finds each recipient with its snapshot, and whether it was accepted, without a close."""
    open_ = journal.Journal.create(path, epoch=1)
    open_.note_dot(1, 11)
    open_.note_dot(2, 12)
    open_.note_accepted(2)
    open_.note_accepted(3)
    assert _notes(path) == {(1, 11, False), (2, 12, True), (3, None, True)}
    assert open_.snapshots == {11, 12}
    open_.close()


def test_a_new_journal_forgets(path: pathlib.Path) -> None:
    """Creating a journal leaves no note of the one before."""
    open_ = journal.Journal.create(path, epoch=1)
    open_.note_dot(1, 11)
    open_.close()
    journal.Journal.create(path, epoch=2).close()
    assert journal.read(path) == ()


def test_serials_grow_over_restarts(path: pathlib.Path) -> None:
    """A note of a later epoch is newer than every one of an earlier epoch."""
    serials = []
    for epoch in (1, 2):
        open_ = journal.Journal.create(path, epoch=epoch)
        for recipient_number in (1, 2):
            open_.note_dot(recipient_number, 1)
            serials.append(_find(open_, recipient_number).serial)
        open_.close()
    assert serials == sorted(set(serials))


def test_a_slot_is_used_again_after_its_commit_only(path: pathlib.Path) -> None:
    """A note stays readable until it is settled, however many others come; then the file does not grow for new ones."""
    open_ = journal.Journal.create(path, epoch=1)
    open_.note_dot(1, 1)
    kept = _find(open_, 1)
    size = path.stat().st_size
    for recipient_number in range(2, 10_000):
        open_.note_dot(recipient_number, 1)
        open_.settle(_find(open_, recipient_number))
    assert path.stat().st_size == size
    assert kept in journal.read(path)
    open_.close()


def test_the_file_grows_for_open_notes(path: pathlib.Path) -> None:
    """More open notes than the file was made for are all kept."""
    open_ = journal.Journal.create(path, epoch=1)
    for recipient_number in range(1, 5_001):
        open_.note_dot(recipient_number, 1)
    assert len(journal.read(path)) == 5_000
    open_.close()


def test_settling_an_older_attempt_keeps_the_newer_note(path: pathlib.Path) -> None:
    """The commit of an attempt's outcome does not free the note of the recipient's next attempt."""
    open_ = journal.Journal.create(path, epoch=1)
    open_.note_dot(1, 1)
    first = _find(open_, 1)
    open_.note_dot(1, 2)
    open_.settle(first)
    open_.note_dot(2, 3)
    assert _notes(path) == {(1, 2, False), (2, 3, False)}
    open_.close()


@hypothesis.given(length=st.integers(0, 4 * journal.RECORD_BYTES))
def test_a_torn_record_says_nothing(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    """Wherever the file ends, whole records before that count and the torn one does not."""
    path = tmp_path_factory.mktemp("torn") / "journal"
    open_ = journal.Journal.create(path, epoch=1)
    open_.note_dot(1, 11)
    open_.note_accepted(1)
    first = path.read_bytes()
    open_.close()
    start = next(offset for offset in range(0, len(first), journal.RECORD_BYTES) if any(first[offset : offset + 32]))
    path.write_bytes(first[start:][:length])
    whole = length // journal.RECORD_BYTES
    assert _notes(path) == ({(1, 11, whole > 1)} if whole else set())


@hypothesis.given(bit=st.integers(0, journal.RECORD_BYTES * 8 - 1))
def test_a_damaged_record_says_nothing(tmp_path_factory: pytest.TempPathFactory, bit: int) -> None:
    """A record in which any bit is wrong is not believed; its neighbours are."""
    path = tmp_path_factory.mktemp("damaged") / "journal"
    open_ = journal.Journal.create(path, epoch=1)
    open_.note_dot(1, 11)
    open_.note_dot(2, 12)
    open_.close()
    content = bytearray(path.read_bytes())
    starts = [offset for offset in range(0, len(content), journal.RECORD_BYTES) if any(content[offset : offset + 32])]
    content[starts[0] + bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    assert len(_notes(path)) == 1


def test_the_journal_holds_numbers_only(path: pathlib.Path) -> None:
    """A note is 32 bytes of numbers whatever is delivered, at a multiple of its size (R11)."""
    open_ = journal.Journal.create(path, epoch=1)
    before = path.read_bytes()
    open_.note_dot(2**40, 2**20)
    changed = [offset for offset, pair in enumerate(zip(before, path.read_bytes(), strict=True)) if pair[0] != pair[1]]
    assert changed[-1] // journal.RECORD_BYTES == changed[0] // journal.RECORD_BYTES
    assert path.stat().st_size % 4096 == 0
    open_.close()
