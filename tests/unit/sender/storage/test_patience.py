"""A queue's database that does not answer: how long it is tried, and what is told meanwhile."""

import pytest

from mailtier.sender import ports
from mailtier.sender.storage.postgres.database import connections
from mailtier.telemetry import metrics


def _up() -> float | None:
    return metrics.SENDER_REGISTRY.get_sample_value("mailtier_queue_up")


async def _nobody() -> str:
    raise ConnectionRefusedError


async def _somebody() -> str:
    return "an answer"


async def test_the_metric_says_whether_the_database_answers() -> None:
    """It is 0 once the patience with it is over, and 1 with the first answer."""
    pool = connections.Connections(lambda: "")
    with pytest.raises(ports.StorageAwayError, match="does not answer: ConnectionRefusedError"):
        await pool.patiently(_nobody, within_seconds=0)
    assert _up() == 0
    assert await pool.patiently(_somebody) == "an answer"
    assert _up() == 1
