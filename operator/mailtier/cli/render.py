"""`mailtier render`: the effective settings of every organization in a folder, and what a change alters."""

import json
import pathlib
import sys
from collections.abc import Iterable, Iterator
from typing import Annotated

import typer

from mailtier.cli import apps, documents, failures
from mailtier.cli.offline import diffing, inputs, judging, rendering
from mailtier.cli.online import options, terminal

app = apps.new()

_EXAMPLES = """\b
Examples:
  mailtier render -f clusters/production
  kustomize build overlays/production | mailtier render -f -
  mailtier render -f clusters/production -o json > before.json
  mailtier render -f clusters/production --diff before.json --exit-code
"""


@app.command(epilog=_EXAMPLES)
def command(
    *,
    filename: inputs.Files = None,
    output: Annotated[
        inputs.Format,
        typer.Option(
            "--output",
            "-o",
            help="text is a table; yaml shows every value and where it came from; json holds effective.json as the"
            " operator publishes it.",
            case_sensitive=False,
        ),
    ] = inputs.Format.TEXT,
    diff: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OLD",
            help="Show what differs from OLD instead: a file, a folder, or what `render -o json` printed; may be"
            " repeated.",
        ),
    ] = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="With --diff: exit with 1 if anything differs, as git diff does.")
    ] = False,
    strict_references: inputs.Strict = False,
    operator_namespace: options.OperatorNamespace = options.OPERATOR_NAMESPACE,
) -> int:
    """Print the effective settings of every organization, from files and without a cluster.

    The result is what the operator publishes for the same objects. What only a cluster knows is left empty: uids of
    Namespaces and versions of Secrets, unless the input has them, as `kubectl get -o yaml` prints them.
    """
    if exit_code and not diff:
        raise typer.BadParameter("goes with --diff", param_hint="--exit-code")
    before = [_before(path, namespace=operator_namespace, strict=strict_references) for path in diff or ()]
    objects = inputs.load(filename or [])
    judge = inputs.judge(objects, namespace=operator_namespace, strict=strict_references)
    rendered = _settings(judge)
    inputs.say_noted(objects)
    inputs.say_if_empty(objects)
    inputs.say_if_no_host(objects)
    inputs.say_assumed(judge.assumed)
    status = failures.Status.FAILED if objects.noted else failures.Status.OK
    if not before:
        sys.stdout.writelines(_lines(rendered, output))
        return status
    old = {name: settings for part in before for name, settings in part.items()}
    comparison = diffing.compare(old, rendered)
    sys.stdout.writelines(_difference(comparison, output))
    return failures.Status.FAILED if exit_code and comparison.differences else status


def _settings(judge: judging.Judge) -> rendering.Settings:
    host = judge.host()
    return {
        **({} if host is None else {rendering.HOST: host.effective}),
        **{str(key): resolution.effective for key, resolution in judge.resolutions()},
    }


def _before(path: str, *, namespace: str, strict: bool) -> rendering.Settings:
    """Return the settings to compare with: rendered already, or to be rendered from files."""
    file = pathlib.Path(path)
    try:
        printed = rendering.from_json(file.read_text(encoding="utf-8")) if file.is_file() else None
    except (OSError, UnicodeDecodeError):
        printed = None  # What cannot be read is told by whoever reads it as YAML.
    except rendering.NoRenderingError as error:
        raise failures.CommandError(f"{path}: {error}", status=failures.Status.USAGE) from error
    if printed is not None:
        return printed
    objects = inputs.load([path])
    inputs.say_noted(objects)
    return _settings(inputs.judge(objects, namespace=namespace, strict=strict))


def _lines(rendered: rendering.Settings, output: inputs.Format) -> Iterator[str]:
    match output:
        case inputs.Format.JSON:
            return rendering.as_json(rendered)
        case inputs.Format.YAML:
            return rendering.as_yaml(rendered)
        case inputs.Format.TEXT:
            return rendering.as_text(rendered, terminal.painter(sys.stdout))


def _difference(comparison: diffing.Comparison, output: inputs.Format) -> Iterable[str]:
    match output:
        case inputs.Format.JSON:
            return (json.dumps(diffing.to_json(comparison), indent=2, ensure_ascii=False), "\n")
        case inputs.Format.YAML:
            return (documents.dump(diffing.to_json(comparison)),)
        case inputs.Format.TEXT:
            return rendering.difference_as_text(comparison, terminal.painter(sys.stdout))
