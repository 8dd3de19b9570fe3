"""How far a build is, on a terminal and elsewhere."""

import io

from kit import progress, screens


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class _Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def _seen(terminal: _Terminal) -> list[str]:
    screen = screens.Screen(80, 5)
    screen.write(terminal.getvalue())
    return [row for row in screen.rows if row]


def test_bar_stays_on_one_row_and_goes() -> None:
    """On a terminal one row shows the share and what is left of the time; nothing of it stays."""
    terminal, clock = _Terminal(), _Clock()
    shown = progress.Progress(f"building {'kube-apiserver, ' * 9}", terminal, clock=clock)
    shown.show(None)
    clock.seconds = 60
    shown.show(0.25)
    (row,) = _seen(terminal)
    assert row.startswith("  ██████░░░░░░░░░░░░░░░░░░ 25%, about 3 min left: building kube-apiserver")
    shown.clear()
    shown.clear()
    assert _seen(terminal) == []


def test_elsewhere_a_line_comes_now_and_then() -> None:
    """Without a terminal there is a line each 30 s, which promises nothing as long as nobody knows."""
    log, clock = io.StringIO(), _Clock()
    shown = progress.Progress("building etcd", log, clock=clock)
    for second in range(100):
        clock.seconds = second
        shown.show(second / 100 if second > 40 else 0.01)
    shown.clear()
    assert log.getvalue().splitlines() == [
        "building etcd: 30 s so far ...",
        "building etcd: 60%, about 40 s left ...",
        "building etcd: 90%, about 10 s left ...",
    ]
