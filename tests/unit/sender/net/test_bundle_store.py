"""CA bundles in memory: what comes out is what went in, and what they share is there once."""

from hypothesis import given
from hypothesis import strategies as st

from mailtier.sender.net import bundle_store

BLOCKS = tuple(f"-----BEGIN CERTIFICATE-----\n{number:040d}\n-----END CERTIFICATE-----\n" for number in range(6))
PUBLIC = tuple(f"-----BEGIN CERTIFICATE-----\n{number:01000d}\n-----END CERTIFICATE-----\n" for number in range(200))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.lists(st.sampled_from((*BLOCKS, "#\n")))))))
def test_what_comes_out_went_in(steps: list[tuple[str, list[str] | None]]) -> None:
    """Whatever is put, replaced and dropped, each bundle is its text, and nothing of a dropped one stays."""
    store, model = bundle_store.BundleStore(), dict[str, str]()
    for digest, blocks in steps:
        if blocks is None:
            store.drop(digest)
            model.pop(digest, None)
        else:
            store.put(digest, model.setdefault(digest, ""))
            model[digest] = "".join(blocks)
            store.put(digest, model[digest])
        assert {known: store.get(known) for known in "abc"} == {known: model.get(known) for known in "abc"}
    for digest in "abc":
        store.drop(digest)
    assert (len(store), store.size_bytes) == (0, 0)


def test_public_authorities_are_there_once() -> None:
    """Thousands of bundles of all public authorities and one's own take the room of one, and their own (R15)."""
    store, public = bundle_store.BundleStore(), "".join(PUBLIC)
    for number in range(1000):
        store.put(str(number), f"{public}-----BEGIN CERTIFICATE-----\n{number:0500d}\n-----END CERTIFICATE-----\n")
    assert store.size_bytes < len(public) + 1000 * 600
    assert store.get("7") == f"{public}-----BEGIN CERTIFICATE-----\n{7:0500d}\n-----END CERTIFICATE-----\n"
