"""What a policy's globs stand for, the same wherever a policy has them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtier.api import policies
from mailtier.settings import effective, endpoints, globs, recipients

_NAMES = st.sampled_from(
    ("example.com", "a.example.com", "a.b.example.com", "evilexample.com", ".example.com", "com", "*.example.com")
)
_GLOBS = st.sampled_from(("*", "*.example.com", "example.com", "a.example.com", "*.com"))


@pytest.mark.parametrize(
    ("glob", "name", "expected"),
    [
        ("*", "example.com", True),
        ("*", "8.8.8.8", True),
        ("example.com", "example.com", True),
        ("example.com", "a.example.com", False),
        ("*.example.com", "a.example.com", True),
        ("*.example.com", "a.b.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", ".example.com", False),
        ("*.example.com", "evilexample.com", False),
    ],
)
def test_a_glob_stands_for_one_name_for_those_below_or_for_all(glob: str, name: str, expected: bool) -> None:
    """A star stands for at least one label and only at the beginning, so that no look-alike slips in."""
    assert globs.matches(glob, name) is expected


@given(glob=_GLOBS, name=_NAMES)
def test_recipients_and_endpoints_read_a_glob_alike(glob: str, name: str) -> None:
    """What `*.example.com` means in one list of the policy it means in the other."""
    rules = effective.RecipientRules(domains=(glob,))
    policy = policies.EndpointsPolicy.model_validate({"allow": [{"host": glob}]})
    listed = recipients.is_listed(f"a@{name}", rules)
    assert listed is globs.matches(glob, name)
    assert (endpoints.judge(policy, host=name, port=587) == endpoints.EndpointVerdict.ALLOWED) is listed


@pytest.mark.parametrize(("glob", "host"), [("*.8.8", "8.8.8.8"), ("*.8", "8.8.8.8"), ("*.4.4", "8.8.4.4")])
def test_an_address_is_not_below_a_domain(glob: str, host: str) -> None:
    """The last bytes of an address look like a domain, and a glob for that domain admits no address."""
    policy = policies.EndpointsPolicy.model_validate({"allow": [{"host": glob}]})
    assert endpoints.judge(policy, host=host, port=587) == endpoints.EndpointVerdict.NOT_ALLOWED
