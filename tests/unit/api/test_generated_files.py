"""What is generated stands in the repository as it would be written today."""

import json

import pytest
import yaml

from kit import generate
from mailtier.api import crds, kinds, problems


def test_no_generated_file_has_drifted() -> None:
    """CRDs and reference pages are those of the models; `make generate` mends it."""
    assert generate.drifted() == []


@pytest.mark.parametrize("resource", crds.ALL, ids=lambda resource: resource.kind)
def test_file_holds_the_definition(resource: crds.Resource) -> None:
    """The YAML of a CRD reads back as the definition, without a status that Argo CD would see as a difference."""
    text = (generate.ROOT / "crds" / resource.file_name).read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    assert document == crds.definition(resource)
    assert "status" not in document
    assert len(json.dumps(document)) < 262_144


@pytest.mark.parametrize("resource", crds.ALL, ids=lambda resource: resource.kind)
def test_example_of_the_reference_is_valid(resource: crds.Resource) -> None:
    """A reader may copy the example of each page."""
    document = yaml.safe_load(generate.examples()[resource.plural])
    assert document["kind"] == resource.kind
    assert problems.found(kinds.ALL[resource.kind], document) == ()
