"""A value that is set, and what finds its trace in the rendered objects."""

import collections.abc
import dataclasses
import typing

Objects = list[dict[str, typing.Any]]
Values = collections.abc.Mapping[str, typing.Any]
Look = collections.abc.Callable[[Objects], object]

SHARED: Values = {"sender": {"postgres": {"dsnSecret": {"name": "queue"}}, "tls": {"secretName": "intake"}}}
"""What several senders take."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A value that is set, and what is to be seen of it.

    Attributes:
        path: The keys that lead to it, joined by dots.
        look: Returns what is compared with `seen`.
        along: Other values that it acts with alone.
    """

    path: str
    value: object
    look: Look
    seen: object
    along: Values = dataclasses.field(default_factory=dict)

    def values(self) -> dict[str, typing.Any]:
        """Return the values with this one alone, and those that it acts with."""
        result: typing.Any = self.value
        for key in reversed(self.path.split(".")):
            result = {key: result}
        return _merged(self.along, result)


def named(kind: str, name: str = "mailtier") -> collections.abc.Callable[[Objects], dict[str, typing.Any]]:
    """Return what finds an object."""
    return lambda objects: next(
        document for document in objects if (document["kind"], document["metadata"]["name"]) == (kind, name)
    )


def kinds(objects: Objects) -> set[str]:
    """Return the kinds that are there."""
    return {document["kind"] for document in objects}


def names(objects: Objects) -> set[str]:
    """Return the names of all objects."""
    return {document["metadata"]["name"] for document in objects}


def workload(objects: Objects) -> dict[str, typing.Any]:
    """Return what makes the pods."""
    (found,) = (document for document in objects if document["kind"] in {"StatefulSet", "Deployment"})
    return found


def spec(objects: Objects) -> dict[str, typing.Any]:
    """Return the spec of what makes the pods."""
    return dict(workload(objects)["spec"])


def pod(objects: Objects) -> dict[str, typing.Any]:
    """Return the spec of the pods."""
    return dict(spec(objects)["template"]["spec"])


def metadata(objects: Objects) -> dict[str, typing.Any]:
    """Return the metadata of the pods."""
    return dict(spec(objects)["template"]["metadata"])


def claim(objects: Objects) -> dict[str, typing.Any]:
    """Return the claim of the queue's volume."""
    return dict(spec(objects)["volumeClaimTemplates"][0])


def container(objects: Objects, name: str) -> dict[str, typing.Any]:
    """Return a container of the pods."""
    return next(found for found in pod(objects)["containers"] if found["name"] == name)


def images(objects: Objects) -> set[str]:
    """Return the images of the pods."""
    return {found["image"] for found in pod(objects)["containers"]}


def volume(name: str) -> collections.abc.Callable[[Objects], dict[str, typing.Any]]:
    """Return what finds a volume of the pods."""
    return lambda objects: next(found for found in pod(objects)["volumes"] if found["name"] == name)


def argument(role: str, option: str) -> collections.abc.Callable[[Objects], list[str]]:
    """Return what finds the values that an option is given."""
    start = f"--{option}="
    return lambda objects: [
        argument.removeprefix(start) for argument in container(objects, role)["args"] if argument.startswith(start)
    ]


def _merged(one: Values, other: Values) -> dict[str, typing.Any]:
    """Return the values of both, of which the second decide."""
    result = dict(one)
    for key, value in other.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = _merged(result[key], value) if both else value
    return result
