"""What the benches make of their figures: verdicts on the goals, and a chart."""

import xml.etree.ElementTree as ET

import pytest

from bench import chart, goals, message

_TABLES: goals.Tables = {
    "message": [
        {"what": "built from values", "bytes": 4_270.0, "us": 48.0},
        {"what": message.BY_SENDER, "bytes": 4_800.0, "us": 61.0},
    ],
    "whole way": [
        {"organizations": 20, "requests": 1, "per_second": 3_100.0, "sender_us": 300.0},
        {"organizations": 20, "requests": 50, "per_second": 4_400.0, "sender_us": 200.0},
        {"organizations": 100, "requests": 1, "per_second": 3_000.0, "sender_us": 310.0},
        {"organizations": 1_000, "requests": 1, "per_second": 2_000.0, "sender_us": 320.0},
        {"organizations": 1_000, "requests": 1, "per_second": 2_900.0, "sender_us": 330.0},
    ],
    "delivery": [
        {"connections": 10, "round_trip_ms": None, "per_second": 1_000.0},
        {"connections": 1, "round_trip_ms": 20, "per_second": 39.0},
    ],
    "transport": [
        {"connections": 10, "tls": "off", "round_trip_ms": None, "program": "ours", "per_second": 10_000.0},
        {"connections": 10, "tls": "off", "round_trip_ms": None, "program": "smtp-source (3)", "per_second": 12_000.0},
        {"connections": 10, "tls": "off", "round_trip_ms": None, "program": "go-mail: not measured, no <Go>"},
        {"connections": 10, "tls": "off", "round_trip_ms": 20, "program": "ours", "per_second": 450.0},
    ],
}


def _judged() -> dict[str, dict[str, object]]:
    into = goals.new_table()
    goals.judge(_TABLES, into)
    return {str(row["what"]): dict(row) for row in into.rows}


@pytest.mark.parametrize(
    ("what", "found", "verdict"),
    [
        ("whole way, one a request, 20 organizations", 3_100.0, "reached"),
        ("whole way, batches of 50, 20 organizations", 4_400.0, "missed"),
        ("1,000 organizations, one a request, of the rate with 20", 2_000 / 3_100, "missed"),
        ("ten times the organizations and messages, CPU of a message", 330 / 310, "reached"),
        ("a message, rendered and built", 61.0, "missed"),
        ("transport, of smtp-source", 10 / 12, "reached"),
        ("a connection over a network of 20 ms", 45.0, "reached"),
        ("delivery, a connection over a network of 20 ms", 39.0, "missed"),
    ],
)
def test_a_goal_is_judged_by_the_figures_of_one_run(what: str, found: float, verdict: str) -> None:
    """What a run measured reaches a goal or misses it."""
    row = _judged()[what]
    assert row["found"] == pytest.approx(found)
    assert row["verdict"] == verdict


@pytest.mark.parametrize("what", ["transport, of go-mail", "p99 from a request to the reply, 1,000/s open loop"])
def test_what_was_not_measured_is_said_to_be_so(what: str) -> None:
    """A peer that cannot be had, and a part that was left out, fail no goal and reach none."""
    assert _judged()[what]["verdict"] == "not measured"


def test_the_chart_has_a_bar_for_each_figure() -> None:
    """It is well-formed, whatever the labels hold, and leaves out what has no figure."""
    drawn = ET.fromstring(chart.draw(chart.groups({"tables": _TABLES}), caption="a run <of> today"))  # noqa: S314  # Ours.
    bars = [each for each in drawn.iter() if each.tag.endswith("rect")]
    # All but the background.
    assert len(bars) - 1 == 5 + 2 + 1
