"""Parts that OpenAPI descriptions are made of."""

from collections.abc import Mapping
from typing import Any, Final

from mailtier.sender.intake.http import problems

TEMPLATE: Final = "#/components/schemas/{model}"


def parameters(*found: str) -> list[dict[str, Any]]:
    """Return the parameters of a path."""
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in found]


def answers(*kinds: problems.ProblemKind) -> dict[str, Any]:
    """Return what is answered where the request is refused."""
    by_status: dict[int, list[problems.ProblemKind]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, []).append(kind)
    return {
        str(status): {
            "description": " Or: ".join(f"{kind.title}. {kind.meaning}" for kind in alike),
            "content": {problems.MEDIA_TYPE: {"schema": reference("Problem")}},
        }
        for status, alike in sorted(by_status.items())
    }


def object_of(**properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an object that has all of these members."""
    return {"type": "object", "required": list(properties), "properties": properties}


def reference(model: str) -> dict[str, str]:
    """Return where a schema stands."""
    return {"$ref": TEMPLATE.format(model=model)}
