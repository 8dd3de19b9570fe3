"""`mailtier render`: the effective settings of every organization in a folder, and what a change alters."""

import dataclasses
import json
import pathlib
import sys
from collections.abc import Iterable, Iterator
from typing import Annotated

import typer

from mailtier.api import names, settings
from mailtier.cli import apps, failures, options, printing, terminal
from mailtier.cli.documents import writing
from mailtier.cli.offline import diffing, inputs, judging, rendering
from mailtier.cli.offline.files import issues, loading, sources, world

app = apps.new()

_EXAMPLES = """\b
Examples:
  mailtier render -f clusters/production
  kustomize build overlays/production | mailtier render -f -
  mailtier render -f clusters/production -o json > before.json
  mailtier render -f clusters/production --diff before.json --exit-code
  mailtier render -f clusters/production --overrides

\b
Exit status: 0 rendered, whatever is blocked; 1 if a file or object could not be read or judged, if there is none of
Mailtier, or with --exit-code if anything differs; 2 for a wrong command line, a path that cannot be opened, or an OLD
that is neither objects nor a rendering.
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Before:
    """What is compared with.

    Attributes:
        has_errors: Whether something of it could not be read or judged.
    """

    settings: rendering.Rendered
    has_errors: bool


@app.command(epilog=_EXAMPLES)
def command(
    *,
    paths: inputs.Paths = None,
    filename: inputs.Files = None,
    output: Annotated[
        inputs.SettingsFormat,
        typer.Option(
            "--output",
            "-o",
            help="text is a table; yaml shows every value and where it came from; json holds effective.json as the"
            " operator publishes it.",
            case_sensitive=False,
        ),
    ] = inputs.SettingsFormat.TEXT,
    diff: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OLD",
            help="Show what differs from OLD instead: a file, a folder, or what `render -o json` or `-o yaml` printed;"
            " may be repeated.",
        ),
    ] = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="With --diff: exit with 1 if anything differs, as git diff does.")
    ] = False,
    overrides: inputs.Overrides = False,
    allow_empty: inputs.AllowEmpty = False,
    quiet: inputs.Quiet = False,
    strict_references: inputs.Strict = False,
    operator_namespace: options.OperatorNamespace = options.OPERATOR_NAMESPACE,
) -> int:
    """Print the effective settings of every organization, from files and without a cluster.

    The result is what the operator publishes for the same objects. What only a cluster knows is left empty: uids of
    Namespaces and versions of Secrets, unless the input has them, as `kubectl get -o yaml` prints them.
    """
    if exit_code and not diff:
        raise typer.BadParameter("goes with --diff", param_hint="--exit-code")
    if overrides and diff:
        raise typer.BadParameter("does not go with --diff", param_hint="--overrides")
    before = [_before(path, namespace=operator_namespace, strict=strict_references) for path in diff or ()]
    objects = inputs.load([*(filename or []), *(paths or [])])
    judge = inputs.judge(objects, namespace=operator_namespace, strict=strict_references)
    rendered = _settings(judge)
    alone = _alone(judge) if overrides else {}
    has_errors = inputs.say_noted(judge) or any(part.has_errors for part in before)
    inputs.say_all(judge, quiet=quiet)
    unread = any(issue.rule is issues.NOT_READABLE for issue in judge.noted)
    has_errors = inputs.is_empty(objects, allowed=allow_empty, is_explained=unread) or has_errors
    status = failures.Status.FAILED if has_errors else failures.Status.OK
    if overrides:
        own = {name: found for name, found in rendered.items() if name in alone}
        comparison = diffing.overridden(alone, own)
        if not comparison.differences and objects.ours and output == inputs.SettingsFormat.TEXT:
            inputs.say("nothing is overridden")
        printing.write(_difference(comparison, output))
        return status
    if not before:
        printing.write(_lines(rendered, output))
        return status
    old = {name: found for part in before for name, found in part.settings.items()}
    comparison = diffing.compare(old, rendered)
    if not quiet:
        for warning in diffing.unbound(old, rendered, assumed=judge.assumed.secrets):
            inputs.say(warning)
    printing.write(_difference(comparison, output))
    return failures.Status.FAILED if exit_code and comparison.differences else status


def _settings(judge: judging.Judge) -> rendering.Rendered:
    host = judge.host()
    return {
        **({} if host is None else {rendering.HOST: host.effective}),
        **{str(key): resolution.effective for key, resolution in judge.resolutions()},
    }


def _alone(judge: judging.Judge) -> rendering.Rendered:
    """Return what every organization would have if it overrode nothing."""
    return {str(key): judge.organization(key, spec=settings.OrgSpec()).effective for key in judge.organizations()}


def _before(path: str, *, namespace: str, strict: bool) -> _Before:
    """Return the settings to compare with: rendered already, or to be rendered from files.

    Raises:
        CommandError: It is a file that holds neither; an empty past would make everything look added.
    """
    if pathlib.Path(path).is_dir():
        return _of_objects(path, inputs.load([path]), namespace=namespace, strict=strict)
    # Read once, because it may be a pipe.
    name, data = sources.content(path)
    try:
        printed = rendering.parse(loading.decode(data).text)
    except loading.UnreadableError:
        printed = None
    except rendering.NoRenderingError as error:
        raise failures.CommandError(f"{name}: {error}", status=failures.Status.USAGE) from error
    if printed is not None:
        return _Before(settings=printed, has_errors=False)
    read = sources.decode(name, data)
    if not read.documents:
        raise failures.CommandError(
            f"{name} holds neither Kubernetes objects nor what `render -o json` or `render -o yaml` printed",
            status=failures.Status.USAGE,
        )
    return _of_objects(name, world.build(read), namespace=namespace, strict=strict)


def _of_objects(name: str, objects: world.World, *, namespace: str, strict: bool) -> _Before:
    if not objects.ours:
        inputs.say(f"there are no objects of {names.GROUP} in {name}, so that everything is new")
    judge = inputs.judge(objects, namespace=namespace, strict=strict)
    rendered = _settings(judge)
    return _Before(settings=rendered, has_errors=inputs.say_noted(judge))


def _lines(rendered: rendering.Rendered, output: inputs.SettingsFormat) -> Iterator[str]:
    match output:
        case inputs.SettingsFormat.JSON:
            return rendering.as_json(rendered)
        case inputs.SettingsFormat.YAML:
            return rendering.as_yaml(rendered)
        case inputs.SettingsFormat.TEXT:
            return rendering.as_text(
                rendered,
                terminal.painter(sys.stdout),
                width=terminal.width(sys.stdout),
                line_width=terminal.line_width(sys.stdout),
            )


def _difference(comparison: diffing.Comparison, output: inputs.SettingsFormat) -> Iterable[str]:
    match output:
        case inputs.SettingsFormat.JSON:
            return (json.dumps(diffing.to_json(comparison), indent=2, ensure_ascii=False), "\n")
        case inputs.SettingsFormat.YAML:
            return (writing.dump(diffing.to_json(comparison)),)
        case inputs.SettingsFormat.TEXT:
            return rendering.difference_as_text(
                comparison, terminal.painter(sys.stdout), width=terminal.line_width(sys.stdout)
            )
