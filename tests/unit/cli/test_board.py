"""How a status looks."""

import dataclasses
import datetime as dt
import io
import json

import pytest
import yaml

from mailtier.cli import board, terminal
from mailtier.cli.online import rows

_NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
_PLAIN = terminal.Painter(on=False)


def _row(state: rows.RowState, namespace: str = "acme", message: str = "Do this.", *, minutes: int = 0) -> rows.Row:
    return rows.Row(
        namespace=namespace,
        name="default",
        state=state,
        reason="SomeReason",
        message=message,
        since=_NOW - dt.timedelta(minutes=minutes),
        source="Host",
        verified="Verified",
        effective={
            "smtp": {"host": "relay.example.com", "port": 587, "tls": {"mode": "StartTLS"}},
            "from": {"address": "no-reply@example.com"},
        },
    )


def _picture(*found: rows.Row) -> rows.Picture:
    return rows.Picture(
        host=_row(rows.RowState.READY, ""),
        host_missing=False,
        organizations=found,
        pods=[rows.Pod(name="mailtier-0", containers={"operator": True, "sender": False})],
    )


def test_totals_come_first_and_each_fault_has_its_message() -> None:
    """A head of three lines, a table of what is not simply ready, and under each line what to do."""
    found = _picture(_row(rows.RowState.READY, "well"), _row(rows.RowState.STALLED, "ill", minutes=5))
    assert board.text(found, wide=False, now=_NOW, painter=_PLAIN, width=200) == [
        (
            "Organizations   2: 1 ready, 1 stalled, 0 reconciling; of those ready: 0 failed verification,"
            " 0 not verified yet, 0 suspended, 0 with advice; 0 would be blocked, 0 with overrides"
        ),
        "Host            Ready   Verified   relay.example.com:587   StartTLS",
        "Mailtier        mailtier-0: operator ready, sender not ready",
        "",
        "STATE     OBJECT        REASON       AGE",
        "Stalled   ill/default   SomeReason   5m",
        "    Do this.",
    ]


def test_the_same_said_of_many_is_said_once() -> None:
    """One fault of the host at two hundred organizations is an entry with their number and the first names."""
    found = [_row(rows.RowState.STALLED, f"team-{number:03d}", minutes=number) for number in range(209)]
    other = _row(rows.RowState.STALLED, "zoo", "Do that.")
    lines = board.text(_picture(*found, other), wide=False, now=_NOW, painter=_PLAIN, width=80)
    assert lines[-6:] == [
        "STATE     OBJECT              REASON       AGE",
        "Stalled   209 organizations   SomeReason   3h",
        "    Do this.",
        "    team-000/default, team-001/default, team-002/default and 206 more",
        "Stalled   zoo/default         SomeReason   0s",
        "    Do that.",
    ]


def test_what_is_said_alike_of_namespaces_is_said_of_any() -> None:
    """A message that names the namespace is one fault all the same; one of a single organization stays as it is."""
    told = "Secret {0}/smtp is missing; run `kubectl label namespace {0} mail=on`, or `kubectl get secret -n {0} smtp`."
    found = [_row(rows.RowState.STALLED, name, told.format(name)) for name in ("elm", "oak")]
    lines = board.text(_picture(*found), wide=False, now=_NOW, painter=_PLAIN, width=80)
    assert [line.strip() for line in lines[-5:]] == [
        "Secret NAMESPACE/smtp is missing; run",
        "kubectl label namespace NAMESPACE mail=on",
        "or",
        "kubectl get secret -n NAMESPACE smtp",
        "elm/default, oak/default",
    ]
    alone = board.text(_picture(found[0]), wide=False, now=_NOW, painter=_PLAIN, width=80)
    assert "kubectl label namespace elm mail=on" in [line.strip() for line in alone]


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("wide", [False, True])
def test_no_line_is_longer_than_the_screen(width: int, wide: bool) -> None:
    """Totals, rows and messages are wrapped, and nothing of them is lost."""
    message = "The relay says " + "no, and no, " * 20 + "and never."
    found = _picture(
        *(_row(rows.RowState.STALLED, f"a-team-with-a-long-name-{number}", message) for number in range(3))
    )
    lines = board.text(found, wide=wide, now=_NOW, painter=_PLAIN, width=width)
    assert max(map(len, lines)) <= width
    assert "".join(message.split()) in "".join("".join(lines).split())
    if wide:
        assert "no-reply@" in "".join(lines)


def test_wide_lists_every_organization() -> None:
    """With server, sender and source of each."""
    lines = board.text(_picture(_row(rows.RowState.READY, "well")), wide=True, now=_NOW, painter=_PLAIN, width=200)
    assert "Everything is ready." in lines
    assert lines[-1].split() == [
        *("well/default", "Ready", "SomeReason", "relay.example.com:587", "StartTLS"),
        *("no-reply@example.com", "Host", "Verified", "0s"),
    ]


def test_a_message_commands_no_terminal() -> None:
    """What stands in a status is text, whatever it holds, and one line (R5)."""
    hostile = "one\ntwo \x1b[2J\x07three"
    lines = board.text(
        _picture(_row(rows.RowState.STALLED, message=hostile)), wide=False, now=_NOW, painter=_PLAIN, width=200
    )
    assert lines[-1] == "    one two  [2J three"
    assert board.change(_row(rows.RowState.STALLED, message=hostile)).isprintable()


def test_columns_are_aligned_whatever_is_coloured() -> None:
    """A colour's sequence takes no room."""
    found = _picture(_row(rows.RowState.STALLED, "a"), _row(rows.RowState.RECONCILING, "bb"))
    coloured = board.text(found, wide=True, now=_NOW, painter=terminal.Painter(on=True), width=200)
    plain = board.text(found, wide=True, now=_NOW, painter=_PLAIN, width=200)
    assert "\x1b[31m" in "".join(coloured)
    for sequence in (*(colour.value for colour in terminal.Colour), "\x1b[0m"):
        coloured = [line.replace(sequence, "") for line in coloured]
    assert [line.rstrip() for line in coloured] == plain


def test_both_documents_hold_the_same() -> None:
    """JSON and YAML differ in form alone."""
    found = _picture(_row(rows.RowState.STALLED))
    document = json.loads(board.as_json(found))
    assert yaml.safe_load(board.as_yaml(found)) == document
    assert document["broken"] is True
    assert document["remarkable"][0]["since"] == "2026-01-02T03:04:05Z"
    assert document["totals"] == {
        "organizations": 1,
        "ready": 0,
        "stalled": 1,
        "reconciling": 0,
        "notVerified": 0,
        "notVerifiedYet": 0,
        "suspended": 0,
        "withAdvice": 0,
        "wouldBeBlocked": 0,
        "overriding": 0,
    }


def test_every_number_is_told_as_what_it_is() -> None:
    """Of as many kinds of rows as there are numbers each has another count, on the screen and in the document."""
    states = {
        rows.RowState.STALLED: 1,
        rows.RowState.RECONCILING: 2,
        rows.RowState.NOT_VERIFIED: 3,
        rows.RowState.SUSPENDED: 4,
        rows.RowState.ADVICE: 5,
    }
    told = [_row(state, f"{state}-{number}") for state, count in states.items() for number in range(count)]
    waiting = [
        dataclasses.replace(_row(rows.RowState.READY, f"w-{number}"), verified="ProbePending") for number in range(6)
    ]
    found = _picture(*told, *waiting)
    assert board.text(found, wide=False, now=_NOW, painter=_PLAIN, width=200)[0] == (
        "Organizations   21: 18 ready, 1 stalled, 2 reconciling; of those ready: 3 failed verification,"
        " 6 not verified yet, 4 suspended, 5 with advice; 0 would be blocked, 0 with overrides"
    )
    totals = board.document(found)["totals"]
    numbers = [totals[name] for name in ("notVerified", "notVerifiedYet", "suspended", "withAdvice")]
    assert numbers == [3, 6, 4, 5]


def test_a_line_of_a_log_begins_with_the_time_of_rfc_3339() -> None:
    """Whatever zone the clock has, it is written in UTC."""
    elsewhere = _NOW.astimezone(dt.timezone(dt.timedelta(hours=5)))
    assert terminal.stamp(elsewhere) == terminal.stamp(_NOW) == "2026-01-02T03:04:05Z"


def test_what_is_not_visible_is_said_so() -> None:
    """Who looks at everything reads that there is more, who looks at one namespace reads nothing of pods."""
    hidden = rows.Picture(host=None, host_missing=False, organizations=(), pods=None)
    assert "".join(board.text(hidden, wide=False, now=_NOW, painter=_PLAIN, width=200)).count("not visible to you") == 2
    lines = board.text(dataclasses.replace(hidden, namespace="acme"), wide=False, now=_NOW, painter=_PLAIN, width=200)
    assert [line.split()[0] for line in lines if line] == ["Organizations", "Host", "There"]
    missing = rows.Picture(host=None, host_missing=True, organizations=(), pods=[])
    assert "create one named default" in "".join(board.text(missing, wide=False, now=_NOW, painter=_PLAIN, width=200))


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "on"),
    [
        (_Terminal(), {}, True),
        (_Terminal(), {"NO_COLOR": "1"}, False),
        (_Terminal(), {"NO_COLOR": ""}, True),
        (_Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_colours_are_for_terminals(stream: io.StringIO, environment: dict[str, str], on: bool) -> None:
    """Nothing is coloured in a pipe, or where NO_COLOR says so."""
    painted = terminal.painter(stream, environment).paint("text", terminal.Colour.GOOD)
    assert ("\x1b" in painted) is on
