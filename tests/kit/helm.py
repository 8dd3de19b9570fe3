"""Running Helm on the chart of the repository."""

import collections.abc
import dataclasses
import json
import pathlib
import subprocess
import typing

import yaml

from kit import binaries

CHART = pathlib.Path(__file__).resolve().parents[2] / "charts" / "mailtier"
CRD_CHART = CHART.with_name("mailtier-crds")
_SECONDS = 60


class HelmError(RuntimeError):
    """Helm refused; the text is what it said."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The chart in a cluster.

    Attributes:
        name: Of the release and of its objects, cluster-wide ones included.
    """

    name: str
    namespace: str

    @property
    def account(self) -> str:
        """Its ServiceAccount, as RBAC names a user."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"


def template(
    values: collections.abc.Mapping[str, typing.Any] | None = None,
    *,
    release: str = "mailtier",
    namespace: str = "mailtier-system",
    show_only: collections.abc.Sequence[str] = (),
    chart: pathlib.Path = CHART,
) -> str:
    """Return the rendered chart as YAML text, comments included.

    Args:
        values: Merged into the chart's own.
        release: The release's name.
        namespace: The release's namespace.
        show_only: Templates that are rendered alone, such as `rbac.yaml`.
        chart: Its folder.

    Raises:
        HelmError: The values or the chart are refused.
    """
    chosen = [f"--show-only=templates/{name}" for name in show_only]
    return run("template", release, str(chart), f"--namespace={namespace}", "--values=-", *chosen, values=values)


def objects(
    values: collections.abc.Mapping[str, typing.Any] | None = None, **options: typing.Any
) -> list[dict[str, typing.Any]]:
    """Return the objects of the rendered chart; the arguments are those of `template`."""
    # The CRDs are long: the loader that is written in Python takes ten times as long.
    loaded = yaml.load_all(template(values, **options), Loader=yaml.CSafeLoader)
    return [document for document in loaded if document]


def run(*arguments: str, values: collections.abc.Mapping[str, typing.Any] | None = None) -> str:
    """Return what a Helm command printed.

    Args:
        arguments: What follows `helm`.
        values: For its standard input, to be taken with `--values=-`.

    Raises:
        HelmError: It ended with another status than 0.
    """
    helm = binaries.ensure("helm")["helm"]
    result = subprocess.run(
        [helm, *arguments],
        input=json.dumps(values or {}),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if result.returncode != 0:
        raise HelmError(f"helm {arguments[0]}: {result.stderr.strip()}\n{result.stdout.strip()}".strip())
    return result.stdout
