"""What a namespace may have, and what a notification costs it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import queues
from mailtier.sender import ports
from mailtier.sender.queueing import quotas, retention

_FINISHED = st.builds(
    retention.FinishedNotification,
    number=st.integers(1, 1_000),
    key_bytes=st.integers(640, 1_200),
    stored_bytes=st.integers(1_200, 40_000),
    is_known=st.booleans(),
)


def _charged(**quota: int) -> quotas.Usage:
    return quotas.charge(
        quotas.Usage(messages=2, payload_bytes=100, stored_bytes=5_000),
        queues.notification(recipients=("a@x.org", "b@x.org")),
        payload_bytes=50,
        quota=ports.QueueQuota(**quota),
    )


def test_a_charge_adds_what_the_notification_takes() -> None:
    """Each recipient is a message, the payload counts as it is encoded, and all that is stored counts in the share."""
    assert _charged() == quotas.Usage(messages=4, payload_bytes=150, stored_bytes=5_000 + 640 + 2 * (512 + 7) + 50)


def test_a_key_counts_twice() -> None:
    """A key stands in its row and in an index, and an object's name likewise: both stay after the end."""
    plain = quotas.key_bytes(queues.notification())
    assert quotas.key_bytes(queues.notification(idempotency_key="k" * 30)) == plain + 60
    assert quotas.key_bytes(queues.notification(source=queues.source("o" * 30))) == plain + 60
    assert plain == 640


_QUEUED = (
    "namespace team-a may have {} messages and {} bytes queued; with this notification it would have 4 and 150: "
    "try again later"
)
_ALONE = "namespace team-a may have 1 messages queued, and this notification alone is 2: name fewer recipients in each"


@pytest.mark.parametrize(
    ("quota", "sentence"),
    [
        ({"messages": 3}, _QUEUED.format(3, 67_108_864)),
        ({"messages": 0}, _QUEUED.format(0, 67_108_864)),
        ({"payload_bytes": 149}, _QUEUED.format(5_000, 149)),
        ({"messages": 1}, _ALONE),
    ],
)
def test_who_has_too_much_queued_is_told_what_to_do(quota: dict[str, int], sentence: str) -> None:
    """A refusal names the limit, what it would come to, and what helps: time, or fewer recipients."""
    with pytest.raises(ports.QuotaExceededError) as refused:
        _charged(**quota)
    assert str(refused.value) == sentence


def test_the_last_message_that_fits_is_taken() -> None:
    """A limit is what one may have, not what one may not reach."""
    assert _charged(messages=4, payload_bytes=150).messages == 4


def test_who_has_too_much_stored_is_told_what_to_do() -> None:
    """Where nothing is left to forget the refusal names the share and what would make room."""
    quota = ports.QueueQuota(stored_bytes=5_000)
    usage = quotas.Usage(stored_bytes=5_100)
    assert quotas.forgive(usage, freed_bytes=100, more=False, namespace="team-a", quota=quota).stored_bytes == 5_000
    assert quotas.forgive(usage, freed_bytes=60, more=True, namespace="team-a", quota=quota).stored_bytes == 5_040
    with pytest.raises(ports.QuotaExceededError, match=r"may have 5000 bytes stored.*sender\.quota\.storedBytes"):
        quotas.forgive(usage, freed_bytes=99, more=False, namespace="team-a", quota=quota)


@st.composite
def _namespaces(draw: st.DrawFn) -> tuple[quotas.Usage, list[retention.FinishedNotification]]:
    """Return what a namespace has, and which of it is finished."""
    finished = draw(st.lists(_FINISHED, max_size=12))
    stored_bytes = draw(st.integers(0, 60_000)) + sum(each.stored_bytes for each in finished)
    return quotas.Usage(messages=draw(st.integers(0, 30)), stored_bytes=stored_bytes), finished


@given(
    namespace=_namespaces(),
    share=st.integers(0, 200_000),
    recipients=st.integers(1, 20),
    payload_bytes=st.integers(0, 70_000),
)
def test_never_more_than_the_share_is_stored(
    namespace: tuple[quotas.Usage, list[retention.FinishedNotification]],
    share: int,
    recipients: int,
    payload_bytes: int,
) -> None:
    """After a charge a namespace has no more than it may; it is refused only where forgetting all is no help (R15)."""
    before, finished = namespace
    quota = ports.QueueQuota(messages=40, payload_bytes=65_536, stored_bytes=share)
    new = queues.notification(recipients=("a@x.org",) * recipients)
    least = before.stored_bytes + quotas.stored_bytes(new, payload_bytes) - sum(each.freed_bytes for each in finished)
    try:
        charged = quotas.charge(before, new, payload_bytes=payload_bytes, quota=quota)
        chosen = retention.choose(finished, wanted_bytes=quotas.excess_bytes(charged, quota))
        freed_bytes = sum(each.freed_bytes for each in chosen)
        after = quotas.forgive(charged, freed_bytes=freed_bytes, more=False, namespace="team-a", quota=quota)
    except ports.QuotaExceededError:
        assert before.messages + recipients > 40 or payload_bytes > 65_536 or least > share
    else:
        assert after.messages == before.messages + recipients <= 40
        assert after.payload_bytes == payload_bytes <= 65_536
        assert least <= after.stored_bytes <= share
