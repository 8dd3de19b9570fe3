"""A policy as values: what acts where it is not said is the default of the models and of the rules."""

import typing

import pydantic

from kit import offline
from mailtier.api import policies as models
from mailtier.cli.offline.explanation import policies

_SAID: typing.Final[offline.Json] = {
    "mode": "Enforce",
    "organizations": {"mode": "Listed"},
    "from": {"allow": [], "ownLogins": "KnownProviders"},
    "endpoints": {"deny": [], "anonymous": False, "hostAllow": []},
    "locked": [],
}
"""The defaults, as a policy that says them."""


def _leaves(model: type[pydantic.BaseModel], above: str) -> typing.Iterator[str]:
    """Yield the path of each field of a model that is no group."""
    for name, field in model.model_fields.items():
        path = f"{above}.{field.alias or name}"
        inner = [
            part
            for part in (field.annotation, *typing.get_args(field.annotation))
            if isinstance(part, type) and issubclass(part, pydantic.BaseModel)
        ]
        if inner and inner[0] is not models.NamespaceSelector:
            yield from _leaves(inner[0], path)
        else:
            yield path


def test_every_field_has_a_default() -> None:
    """A field that is added to the policy is shown too; the selector, which belongs to one mode, only where it is."""
    assert set(policies.of(None)) == set(_leaves(models.Policy, "policy")) - {"policy.organizations.selector"}


def test_defaults_are_those_that_act() -> None:
    """A policy that says every default is shown with the same values, and comes to the same settings."""
    said = models.Policy.model_validate(_SAID)
    shown = {path: value.text for path, value in policies.of(None).items() if value.text}
    told = {path: value.text for path, value in policies.of(said).items()}
    assert {path: told[path] for path in shown} == shown
    org = offline.org("acme", auth={"username": "acme", "passwordSecretRef": {"name": "own"}})
    with_, without = (
        dict(offline.judge(offline.host(policy=policy), org).resolutions()) for policy in (_SAID, {"mode": "Enforce"})
    )
    assert [each.effective for each in with_.values()] == [each.effective for each in without.values()]
