"""Each value of the chart does what its comment says."""

import functools
import json

import pytest

from kit import helm, values_page
from kit.chart_options import common, looking, network, pod, sender, ways_in

OPTIONS = (*common.OPTIONS, *network.OPTIONS, *pod.OPTIONS, *sender.OPTIONS, *ways_in.OPTIONS)


@functools.cache
def _without(along: str) -> looking.Objects:
    """Return what is rendered without a value, where those stand alone that it acts with."""
    return helm.objects(json.loads(along))


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.path)
def test_option_is_seen(option: looking.Option) -> None:
    """The value is to be found where its comment says, and is not there by default."""
    assert option.look(helm.objects(option.values())) == option.seen
    try:
        before = option.look(_without(json.dumps(option.along)))
    except (LookupError, StopIteration):
        return
    assert before != option.seen


def test_every_option_is_tried() -> None:
    """No value of values.yaml is missing above, and none above is unknown."""
    text = (helm.CHART / "values.yaml").read_text(encoding="utf-8")
    assert {option.path for option in OPTIONS} == {value.path for value in values_page.values(text) if not value.group}
