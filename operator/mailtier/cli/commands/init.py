"""`mailtier init`: the first settings for a provider, with what is left to do."""

import difflib
import re
import sys
from collections.abc import Callable
from typing import Annotated, Final, TypeVar

import typer

from mailtier.api import names
from mailtier.cli import apps, failures, options, printing, terminal
from mailtier.cli.offline import inputs, starting
from mailtier.cli.online import target
from mailtier.settings import binding, drafts, effective
from mailtier.settings.lints import terms
from mailtier.settings.providers import catalogue, facts

app = apps.new()

_T = TypeVar("_T")
_NAMES: Final = ", ".join(provider.name for provider in catalogue.ALL)
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")

_EXAMPLES = """\b
Examples:
  mailtier init > mail.yaml
  mailtier init --provider sendgrid --from no-reply@example.com > mail.yaml
  mailtier init acme --provider ses --server email-smtp.us-east-1.amazonaws.com > acme.yaml
"""


def _complete(incomplete: str) -> list[str]:
    return [provider.name for provider in catalogue.ALL if provider.name.startswith(incomplete)]


@app.command(epilog=_EXAMPLES)
def command(
    *,
    organization: Annotated[
        str,
        typer.Argument(
            metavar="ORGANIZATION",
            help="NAMESPACE/NAME; NAMESPACE alone means its default. By default the settings are the host's.",
        ),
    ] = "",
    provider: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help=f"Who sends: {_NAMES}. Without it, all that is not given is asked for on the terminal.",
            autocompletion=_complete,
        ),
    ] = "",
    server: Annotated[
        str, typer.Option(metavar="HOST", help="The server, where the provider has one for each region or customer.")
    ] = "",
    from_address: Annotated[str, typer.Option("--from", metavar="ADDRESS", help="What mail comes from.")] = "",
    display_name: Annotated[str, typer.Option(help="The name that people read beside that address.")] = "",
    username: Annotated[
        str, typer.Option(help="The login; by default what the provider makes everybody's, or the address.")
    ] = "",
    secret: Annotated[str, typer.Option(metavar="NAME", help="The Secret with the password.")] = drafts.SECRET,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Do not repeat on stderr the steps that the comments list.")
    ] = False,
    operator_namespace: options.OperatorNamespace = options.OPERATOR_NAMESPACE,
) -> int:
    """Write the first settings for a mail provider on standard output, with the steps to take there in comments.

    Where standard output is not the terminal, the steps are printed on stderr too.

    They have the provider's server, port and way to begin TLS, and keep to its limits; what only you can know is an
    example that says so. The Secret beside them is bound to the server and has no value. `mailtier lint` finds nothing
    in them.
    """
    asks = not provider and sys.stdin.isatty()
    if not provider and not asks:
        raise typer.BadParameter(f"name one: {_NAMES}", param_hint="--provider")
    chosen = _ask("Provider", _provider, listed=_NAMES) if asks else _given("--provider", _provider, provider)
    if asks and not organization:
        organization = _ask("Organization, NAMESPACE/NAME (for all of them: leave it empty)", _organization_text)
    if asks and not server and _has_own_servers(chosen):
        server = _ask("Server", lambda text: _server(chosen, text), default=chosen.sample.host)
    if asks and not from_address:
        from_address = _ask("From address", str, default=chosen.sample.from_address)
    if asks and not display_name:
        display_name = _ask("Name beside it", str, default=drafts.DISPLAY_NAME)
    values = _values(chosen, server=server, from_address=from_address, username=username)
    if asks and not username and values.username is not None and not _is_shared(chosen):
        username = _ask("Username", str, default=values.username)
        values = _values(chosen, server=server, from_address=from_address, username=username)
    start = starting.Start(
        provider=chosen,
        organization=_organization(organization),
        operator_namespace=operator_namespace,
        sample=values,
        display_name=display_name or None,
        secret=secret,
    )
    _require_no_error(start)
    printing.write([starting.text(start)])
    # On a terminal the comments in the settings have just said it.
    if not quiet and not sys.stdout.isatty():
        print("\n".join(starting.instructions(start)), file=sys.stderr)
    return failures.Status.OK


def _require_no_error(start: starting.Start) -> None:
    """Say what `mailtier lint` finds.

    Raises:
        CommandError: It is an error.
    """
    found = starting.find_faults(start, now=terminal.now())
    for issue in found:
        if issue.severity == terms.LintSeverity.ERROR:
            raise failures.CommandError(f"{issue.text} [{issue.rule.identifier}]", status=failures.Status.USAGE)
    for issue in found:
        inputs.say(f"{issue.text} [{issue.rule.identifier}]")


def _values(provider: facts.Provider, *, server: str, from_address: str, username: str) -> facts.Sample:
    try:
        return drafts.choose(
            provider,
            host=binding.normalize_host(server) if server else None,
            username=username or None,
            from_address=from_address or None,
        )
    except drafts.UnfitError as error:
        hint = {"host": "--server"}.get(error.field, f"--{error.field}")
        raise typer.BadParameter(str(error), param_hint=hint) from None


def _provider(text: str) -> facts.Provider:
    found = catalogue.named(text)
    if found is None:
        near = difflib.get_close_matches(text.lower(), [provider.name for provider in catalogue.ALL], n=1)
        raise ValueError(f"{text!r} is not known; " + (f"did you mean {near[0]}?" if near else f"name one of {_NAMES}"))
    return found


def _server(provider: facts.Provider, text: str) -> str:
    drafts.choose(provider, host=binding.normalize_host(text))
    return text


def _organization_text(text: str) -> str:
    _organization(text)
    return text


def _organization(text: str) -> effective.OrganizationKey | None:
    """Return the organization that a text names; None for an empty one.

    Raises:
        BadParameter: It cannot be the name of one.
    """
    if not text:
        return None
    parsed = target.OrganizationName.parse(text)
    is_long = len(parsed.name) > names.ORGANIZATION_NAME_LENGTH
    if is_long or not _LABEL.fullmatch(parsed.namespace) or not _LABEL.fullmatch(parsed.name):
        raise typer.BadParameter(
            f"{text!r} cannot be one: both names consist of a-z, 0-9 and -, and the second has at most"
            f" {names.ORGANIZATION_NAME_LENGTH} characters",
            param_hint="ORGANIZATION",
        )
    return effective.OrganizationKey(namespace=parsed.namespace, name=parsed.name)


def _has_own_servers(provider: facts.Provider) -> bool:
    """Return whether the provider has more servers than one, so that somebody has to say which."""
    return provider.hosts is None or len(provider.hosts.value) > 1 or "*" in provider.hosts.value[0]


def _is_shared(provider: facts.Provider) -> bool:
    return provider.shared_usernames is not None


def _given(option: str, parse: Callable[[str], _T], text: str) -> _T:
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def _ask(what: str, parse: Callable[[str], _T], *, default: str = "", listed: str = "") -> _T:
    """Return what somebody types on the terminal, asked for on stderr until it fits."""
    if listed:
        print(listed, file=sys.stderr)

    def parsed(text: str) -> _T:
        try:
            return parse(text.strip())
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    answer: _T = typer.prompt(what, default=default, show_default=bool(default), value_proc=parsed, err=True)
    return answer
