"""CEL in the apiserver and Python in the models come to the same verdict on texts that nobody thought of."""

import hypothesis
from hypothesis import strategies

from kit import corpus
from kit import rest as rest_kit
from mailtier.api import kinds, problems

_SETTINGS = hypothesis.settings(
    max_examples=150, deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)


def _near(alphabet: str, *beginnings: str) -> strategies.SearchStrategy[str]:
    """Return texts that are close to what the field takes: a beginning, and a tail of telling signs."""
    return strategies.builds("{}{}".format, strategies.sampled_from(["", *beginnings]), _texts(alphabet))


def _texts(alphabet: str) -> strategies.SearchStrategy[str]:
    return strategies.text(alphabet, max_size=8)


_HOSTS = _near("a1x0.-_:[]%/ \nü", "127.0.0.1", "10.0.0.", "2001:db8::", "::ffff:1.2.3", "mail.", "xn--")
_ADDRESSES = _near("a1.-_@+'\"<> \n[]{}ü", "a@b", "a@b.", "a.b@", "@")
_DURATIONS = _near("0159hms.-+ \nµd", "1h", "0", "60", "168h")
_NETWORKS = _near("0128./:f \n", "10.0.0.0/", "10.0.0.", "2001:db8::/", "::/", "0.0.0.0/0")
_FROM_ENTRIES = _near("a1.@{}-", "{namespace}@a", "@a.", "a@b")
_GLOBS = _near("a1.*-_", "*.", "*", "a.")
_LINES = strategies.text(
    strategies.characters(exclude_categories=["Cs"])
    | strategies.sampled_from("\n\r\t\0\x7f\x85\u2028\u202e\u200d\u200e"),
    min_size=1,
    max_size=6,
)
_DATA_NAMES = _near("aZ1_-. \nü", "a", "_")
_KEYS = _near("aZ1-._/ \n", "example.com/", "team", "/")


def _host(**policy: object) -> dict[str, object]:
    return corpus.document("HostEmailSettings", {"policy": policy})


def _labels(key: str) -> dict[str, object]:
    return _host(organizations={"mode": "Selector", "selector": {"matchLabels": {key: ""}}})


_DOCUMENTS = strategies.one_of(
    _HOSTS.map(lambda host: corpus.document("OrgEmailSettings", {"smtp": {"host": host}})),
    _ADDRESSES.map(lambda address: corpus.document("OrgEmailSettings", {"from": {"address": address}})),
    _DURATIONS.map(lambda duration: corpus.document("OrgEmailSettings", {"delivery": {"maxAge": duration}})),
    _LINES.map(lambda line: corpus.document("OrgEmailSettings", {"from": {"displayName": line}})),
    _LINES.map(lambda text: corpus.document("Notification", {"category": "JobAlert", "text": text})),
    _DATA_NAMES.map(lambda name: corpus.document("Notification", {"category": "JobAlert", "data": {name: ""}})),
    _NETWORKS.map(lambda network: _host(endpoints={"deny": [{"cidr": network}]})),
    _GLOBS.map(lambda glob: _host(endpoints={"deny": [{"host": glob}]})),
    _FROM_ENTRIES.map(lambda entry: _host(**{"from": {"allow": [entry]}})),
    _KEYS.map(_labels),
)


@_SETTINGS
@hypothesis.given(document=_DOCUMENTS)
def test_both_come_to_the_same_verdict(rest: rest_kit.Rest, document: dict[str, object]) -> None:
    """An object is accepted by both or by neither, whatever text stands in a field (R5)."""
    status, message = rest.try_out(document)
    found = problems.found(kinds.ALL[str(document["kind"])], document)
    assert (status == 201) == (not found), (message, found)
