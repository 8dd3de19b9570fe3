"""Pages of metrics of several processes, joined to one on which no series is lost and none is there twice.

What every process has for itself, such as its memory, gets a label that says whose it is. All else is one process' or
the other's: what one counts, the other has at 0, so that the sum is what there is.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client import parser

from mailtier.telemetry import metrics

Labels = tuple[tuple[str, str], ...]
Samples = Mapping[str, Mapping[Labels, float]]
"""The values of each series by its labels, in the order of their names."""

LABEL: Final = "part"

_OF_BOTH: Final = frozenset(
    {
        "mailtier_settings",
        "mailtier_settings_unusable",
        "mailtier_queue_up",
        "mailtier_queue_commit_operations",
        "mailtier_queue_commit_duration_seconds",
    }
)
"""What intake and delivery both have, each by itself: a sum would say something else once one of them died."""


@dataclasses.dataclass(slots=True)
class _Family:
    head: list[str]
    series: dict[str, float]


def join(pages: Mapping[str, str]) -> str:
    """Return one page.

    Args:
        pages: Of each process, by its part, in the text format (version 0.0.4).
    """
    own = {family.name for family in metrics.COMMON.collect()} | _OF_BOTH
    families: dict[str, _Family] = {}
    for part, page in pages.items():
        for name, head, samples in _families(page):
            family = families.setdefault(name, _Family(head=head, series={}))
            is_own = name.removesuffix("_total") in own
            for series, value in samples:
                labelled = _label(series, part) if is_own else series
                family.series[labelled] = family.series.get(labelled, 0.0) + value
    lines = [
        line
        for family in families.values()
        for line in (*family.head, *(f"{series} {value!r}" for series, value in family.series.items()))
    ]
    return "\n".join(lines) + "\n"


def read(page: str) -> Samples:
    """Return what is on a page.

    Raises:
        ValueError: It is none.
    """
    found: dict[str, dict[Labels, float]] = {}
    for family in parser.text_string_to_metric_families(page):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def _families(page: str) -> Iterator[tuple[str, list[str], list[tuple[str, float]]]]:
    name, head, samples = "", list[str](), list[tuple[str, float]]()
    for line in page.splitlines():
        if line.startswith("# HELP "):
            if name:
                yield name, head, samples
            name, head, samples = line.split(" ", 3)[2], [line], []
        elif line.startswith("#"):
            head.append(line)
        elif line:
            series, _, value = line.rpartition(" ")
            samples.append((series, float(value)))
    if name:
        yield name, head, samples


def _label(series: str, part: str) -> str:
    name, brace, rest = series.partition("{")
    return f'{name}{{{LABEL}="{part}",{rest}' if brace else f'{name}{{{LABEL}="{part}"}}'
