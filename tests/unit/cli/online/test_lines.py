"""What people read of a probe and of what was sent."""

from mailtier.cli import terminal
from mailtier.cli.online import probing, sending


def test_lines_of_a_probe_are_for_people() -> None:
    """A stage, its mark and its sentence; at the end what it comes to, and what to do."""
    plain = terminal.Painter(on=False)
    assert probing.lines({"stage": "tls", "ok": False, "message": "No."}, plain, width=None, asked="a/b") == [
        "  tls   FAILED"
    ]
    result = {"reason": "TlsFailed", "ok": False, "message": "No.", "remedy": "Do this."}
    assert probing.lines(result, plain, width=None, asked="a/b") == ["TlsFailed: No.", "  Do this."]
    well = {"reason": "Verified", "ok": True, "message": "Fine.", "certificateExpiresAt": "2027-01-02T00:00:00Z"}
    assert probing.lines(well, plain, width=None, asked="a/b")[-1].endswith("valid until 2027-01-02.")
    assert "\x1b" not in "".join(
        probing.lines({**well, "certificateExpiresAt": "\x1b[2J"}, plain, width=None, asked="a/b")
    )


def test_the_command_to_try_again_is_run_as_it_is_told() -> None:
    """The texts of the reasons know no names: whose probe it was, whoever reads it gets."""
    told = {"reason": "AuthFailed", "ok": False, "message": "No.", "remedy": "Or run `mailtier verify --again`."}
    for asked in ("acme/default", "--host"):
        (_, remedy) = probing.lines(told, terminal.Painter(on=False), width=None, asked=asked)
        assert remedy == f"  Or run `mailtier verify {asked} --again`."


def test_lines_of_verify_and_send_fit_the_screen() -> None:
    """Stage, result and recipient are wrapped at the width, and a command to be copied stays in one piece."""
    plain = terminal.Painter(on=False)
    command = "kubectl annotate secret -n acme smtp 'mailtier.dev/endpoint=smtp.acme.example:587' --overwrite"
    told = f"The Secret does not list the endpoint, and so its password stays here; run `{command}`."
    probed = probing.lines({"reason": "SecretNotBound", "ok": False, "message": told}, plain, width=40, asked="a/b")
    stage = probing.lines(
        {"stage": "dns", "ok": True, "message": "The name resolves. " * 4}, plain, width=40, asked="a/b"
    )
    recipient = {"address": "alice@acme.example", "state": "held", "reason": "SecretNotBound", "message": told}
    sent = sending.lines(recipient, plain, width=40, said=set())
    held = sending.held_lines(sending.Sent(id="1", path="/1", held=recipient), plain, width=40)
    for lines_ in (probed, stage, sent, held):
        assert len(lines_) > 1
        assert all(len(line) <= 40 or line.strip() == command for line in lines_)
    assert stage[1].startswith(" " * 14)


def test_what_waits_is_told_once() -> None:
    """The same message is said of the first state alone, whoever it is about, and not once more at the end."""
    plain, said, told = terminal.Painter(on=False), set[str](), "The settings are blocked."
    queued = {"address": "a@b.example", "state": "queued", "reason": "SettingsBlocked", "message": told}
    sent = sending.Sent(id="1", path="/1", record={"recipients": [{**queued, "state": "held"}]})
    assert sending.lines(queued, plain, width=None, said=said) == [f"  a@b.example   queued   SettingsBlocked: {told}"]
    assert sending.lines(sent.recipients[0], plain, width=None, said=said) == ["  a@b.example   held   SettingsBlocked"]
    assert str(sending.timed_out(sent, 4, key="a-key", said=said)).endswith(
        "its state is held, and the sender goes on with it"
    )
    untold = sending.timed_out(sent, 4, key="a-key", said=())
    assert str(untold).endswith("goes on with it. The settings are blocked")


def test_what_was_not_answered_in_time_may_be_stored() -> None:
    """Nobody can tell that it was not taken: it is said so, with the key under which it would be."""
    assert "may be stored all the same; `--idempotency-key a-key`" in str(
        sending.timed_out(None, 4, key="a-key", said=())
    )


def test_whose_secret_a_probe_used_is_told() -> None:
    """Who inherits the host's Secret reads that it is the host's, and whoever has an own one its version."""
    plain = terminal.Painter(on=False)
    at = {"probedAt": "2026-01-02T03:04:05Z", "secretReadAt": "2026-01-02T03:04:04Z"}
    result = {"reason": "Verified", "ok": True, "message": "Fine.", **at}
    (_, inherited) = probing.lines(result, plain, width=None, asked="a/b")
    (_, own) = probing.lines({**result, "secretVersion": "7"}, plain, width=None, asked="a/b")
    assert " with the host's Secret, read at " in inherited
    assert " with version 7 of the Secret, read at " in own


def test_refused_logins_that_are_left_are_told() -> None:
    """Also that there is none left."""
    plain = terminal.Painter(on=False)
    result = {"reason": "AuthFailed", "ok": False, "message": "No.", "refusedLoginsLeft": 0}
    (_, left) = probing.lines(result, plain, width=None, asked="a/b")
    assert left.endswith("within an hour: 0.")
