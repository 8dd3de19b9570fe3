"""A volume that fills up: new work is refused early, and what was finished is recorded (R4, R13)."""

import pathlib

from kit import full_volume


def test_a_full_volume_loses_nothing(tmp_path: pathlib.Path) -> None:
    """At 80 % work is refused; at 100 % outcomes are stored; a crash and a restart then lose nothing (R4, R13)."""
    filled, reopened = full_volume.run(tmp_path / "volume")
    assert len(filled["taken"]) > 100
    assert 0.05 < filled["free_at_refusal"] <= 0.2
    assert filled["refused"] == ["StorageFullError"] * 3
    # What was recorded or noted as taken is final; the rest is there with its payload, and nothing else.
    assert reopened["pending"] == dict.fromkeys(filled["waiting"], "queued")
    assert {*filled["recorded"], *filled["noted"], *filled["waiting"]} == set(filled["taken"])
    # There is room again, also in a file that does not shrink.
    assert reopened["left"] == {"queued": 1}


def test_a_sender_starts_on_a_volume_that_is_full(tmp_path: pathlib.Path) -> None:
    """Opening the queue takes room that there is not: the reserve is given up for it, and mail is delivered (R13)."""
    assert full_volume.start_again(tmp_path / "volume", reserve=True)["states"] == ["accepted"]


def test_a_sender_that_cannot_start_says_that_the_volume_is_full(tmp_path: pathlib.Path) -> None:
    """Without a reserve nothing can be opened, and the error says so rather than what SQLite has of it (R13)."""
    found = full_volume.start_again(tmp_path / "volume", reserve=False)
    assert "is full, and the queue on it cannot be opened" in found["refused"]
