"""Names of objects: none is another's, whatever organizations and namespaces are called."""

from hypothesis import given
from hypothesis import strategies as st

from mailtier.api import names

_LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?", fullmatch=True)
_DIGEST = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)


@given(_LABEL | st.sampled_from(["intake-ca", "ca", "host"]), _LABEL, _DIGEST)
def test_the_ones_in_our_own_namespace_are_told_apart(organization: str, namespace: str, digest: str) -> None:
    """The intake's CA, settings, CA bundles and what organizations of that namespace publish never share a name."""
    found = [
        names.INTAKE_CA_CONFIG_MAP,
        names.HOST_CONFIG_MAP,
        names.effective_config_map(namespace, organization),
        names.ca_config_map(digest),
        names.projection(organization),
    ]
    assert len(set(found)) == len(found)
    assert [name for name in found if names.is_ca_config_map(name)] == [names.ca_config_map(digest)]


def test_the_intake_s_ca_is_not_watched() -> None:
    """It is neither settings nor a bundle of settings, so that nobody takes it for one."""
    assert names.INTAKE_CA_COMPONENT not in {names.EFFECTIVE_COMPONENT, names.CA_COMPONENT}
    watched = names.PUBLISHED_SELECTOR.partition(" in ")[2].strip("()").split(",")
    assert watched == [names.EFFECTIVE_COMPONENT, names.CA_COMPONENT]
