"""`mailtier bind`: a password in a Secret, and the servers that it may be sent to."""

import asyncio
import dataclasses
import enum
import getpass
import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from mailtier.api import names, prose
from mailtier.api import secret as hidden
from mailtier.cli import apps, failures, options, printing
from mailtier.cli.documents import writing
from mailtier.cli.offline import consent as objects
from mailtier.settings import binding, observed

app = apps.new()

_SECRET: Final = "secret"  # noqa: S105  # A kind, as kubectl names it.
_ROLE_BINDING: Final = "rolebinding.rbac.authorization.k8s.io"
_ROLE: Final = "mailtier-references"
_MOST_BYTES: Final = 64 * 1024

_EXAMPLES = """\b
Examples:
  mailtier bind relay -n mailtier-system --endpoint smtp.example.com:587
  pass show mail/relay | mailtier bind relay -n acme --endpoint smtp.example.com:587 --password-stdin
  mailtier bind mailbox -n acme --endpoint smtp.office365.com:587 --endpoint https://login.microsoftonline.com
  mailtier bind relay -n acme --endpoint smtp.example.com --dry-run=client -o yaml --no-grant | kubeseal -o yaml
"""


class DryRun(enum.StrEnum):
    """Whether anything is done."""

    NONE = "none"
    CLIENT = "client"


class ObjectFormat(enum.StrEnum):
    """How objects are printed."""

    NAME = "name"
    YAML = "yaml"
    JSON = "json"


@app.command(epilog=_EXAMPLES)
def command(
    *,
    secret: Annotated[str, typer.Argument(metavar="SECRET", help="The name of the Secret.")],
    endpoint: Annotated[
        list[str],
        typer.Option(
            metavar="HOST[:PORT]",
            help="A server that the password may be sent to, with any port where none is named; https://HOST for one"
            " that gives access tokens for it. May be repeated.",
        ),
    ],
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="The Secret's namespace; by default the context's.")
    ] = "",
    key: Annotated[
        str,
        typer.Option(
            help=f"What the password lies under; by default {names.PASSWORD_KEY}, and {names.CLIENT_SECRET_KEY} where"
            " tokens are had with it."
        ),
    ] = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    new_password: Annotated[
        bool, typer.Option("--new-password", help="Ask for a password although the Secret has one.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Bind it to these servers alone; by default those from before stay.")
    ] = False,
    grant: Annotated[
        bool, typer.Option("--grant/--no-grant", help="Whether to let the operator read it, where it may not.")
    ] = True,
    references_role: Annotated[
        str, typer.Option(help="The ClusterRole that gives the operator the right to read.")
    ] = _ROLE,
    service_account: Annotated[
        str,
        typer.Option(
            metavar="NAMESPACE:NAME", help="The operator's ServiceAccount; by default mailtier, where Mailtier runs."
        ),
    ] = "",
    dry_run: Annotated[
        DryRun, typer.Option(help="client prints the objects, asks no cluster, and changes nothing.")
    ] = DryRun.NONE,
    output: Annotated[
        ObjectFormat | None,
        typer.Option("--output", "-o", help="How to print objects; yaml and json go with --dry-run=client."),
    ] = None,
    operator_namespace: options.OperatorNamespace = options.OPERATOR_NAMESPACE,
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = None,
) -> None:
    """Put a password into a Secret, say where it may be sent, and let the operator read it.

    A password is sent only to the servers that its Secret names, so name them yourself: whoever may write the settings,
    and not the Secret, cannot have it sent elsewhere. The Secret is created, or annotated where it is there already.

    The password is asked for on the terminal where the Secret has none, or read with --password-stdin; it is never an
    argument, which others on the machine could see.
    """
    account = service_account or f"{operator_namespace}:{names.MANAGED_BY}"
    if account.count(":") != 1:
        raise typer.BadParameter(f"{account!r} is not NAMESPACE:NAME", param_hint="--service-account")
    if dry_run is DryRun.NONE and output not in {None, ObjectFormat.NAME}:
        raise typer.BadParameter("yaml and json hold the password, and go with --dry-run=client", param_hint="--output")
    if dry_run is DryRun.CLIENT and not namespace:
        raise typer.BadParameter("is needed where no cluster is asked", param_hint="--namespace")
    try:
        servers = objects.parse_servers(endpoint)
        agreed = objects.Consent(
            namespace=namespace, name=secret, key=key or _key(servers), servers=servers, alone=replace
        )
        asking = _Asking(from_stdin=password_stdin, anew=new_password)
        wanted = objects.ReferencesGrant(namespace=namespace, role=references_role, account=account) if grant else None
        if dry_run is DryRun.CLIENT:
            _print(_planned(agreed, wanted, asking, operator_namespace=operator_namespace), output)
            return
        asyncio.run(
            _bind(
                agreed,
                wanted,
                asking,
                operator_namespace=operator_namespace,
                context=context,
                kubeconfig=kubeconfig,
                terse=output is ObjectFormat.NAME,
            )
        )
    except objects.ConsentError as error:
        raise failures.CommandError(str(error), status=failures.Status.USAGE) from None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Asking:
    """Where a password comes from.

    Attributes:
        anew: Whether it is asked for although there is one.
    """

    from_stdin: bool
    anew: bool

    def value(self, agreed: objects.Consent, annotation: str, *, is_required: bool) -> hidden.Hidden | None:
        """Return what goes under the key; None for what lies there.

        Raises:
            CommandError: There has to be something, and nobody to ask.
            ConsentError: It is not fit.
        """
        if self.from_stdin:
            return objects.parse_value(agreed, sys.stdin.buffer.read(_MOST_BYTES))
        if not is_required and not self.anew:
            return None
        if not sys.stdin.isatty() or agreed.purpose == observed.Purpose.PRIVATE_KEY:
            raise failures.CommandError(
                f"{agreed} has no {agreed.purpose}; pipe it in with --password-stdin", status=failures.Status.USAGE
            )
        question = f"{prose.capitalized(agreed.purpose)} in {agreed}, for {annotation}: "
        try:
            typed = getpass.getpass(question)
        except EOFError:
            raise typer.Abort from None
        return objects.parse_value(agreed, typed.encode("utf-8", "surrogateescape"))


def _key(servers: Sequence[binding.BoundServer]) -> str:
    for_tokens = any(server.is_token_server for server in servers)
    return names.CLIENT_SECRET_KEY if for_tokens else names.PASSWORD_KEY


def _planned(
    agreed: objects.Consent, wanted: objects.ReferencesGrant | None, asking: _Asking, *, operator_namespace: str
) -> list[objects.Object]:
    """Return the objects as they would be where there is none of them yet."""
    value = asking.value(agreed, objects.annotation(agreed, None), is_required=True)
    assert value is not None
    found = [objects.new_secret(agreed, value)]
    # In its own namespace the release has granted it.
    if wanted is not None and agreed.namespace != operator_namespace:
        found.append(objects.role_binding(wanted))
    return found


def _print(planned: list[objects.Object], output: ObjectFormat | None) -> None:
    match output:
        case ObjectFormat.YAML:
            text = writing.dump(*planned)
        case ObjectFormat.JSON:
            whole = planned[0] if len(planned) == 1 else {"apiVersion": "v1", "kind": "List", "items": planned}
            text = f"{json.dumps(whole, indent=2)}\n"
        case _:
            did = "" if output is ObjectFormat.NAME else " created (dry run)"
            text = "".join(f"{_named(each)}{did}\n" for each in planned)
    printing.write([text])


async def _bind(
    agreed: objects.Consent,
    wanted: objects.ReferencesGrant | None,
    asking: _Asking,
    *,
    operator_namespace: str,
    context: str,
    kubeconfig: pathlib.Path | None,
    terse: bool,
) -> None:
    # The kubernetes package is not there in the smallest installation, in which --dry-run=client works.
    from mailtier.cli.online import cluster, consenting  # noqa: PLC0415 - As above.

    async with cluster.connect(context=context, kubeconfig=kubeconfig) as api:
        namespace = agreed.namespace or api.connection.namespace
        agreed = dataclasses.replace(agreed, namespace=namespace)
        bound = await consenting.bind(api, agreed, asking.value)
        did = "" if terse else f" {bound.verb}, for {bound.annotation}"
        printing.write([f"{_SECRET}/{agreed.name}{did}\n"])
        if wanted is None or namespace == operator_namespace:
            return
        granted = await consenting.grant(api, dataclasses.replace(wanted, namespace=namespace), name=agreed.name)
        if granted is not None:
            did = "" if terse else f" {granted}"
            printing.write([f"{_ROLE_BINDING}/{names.REFERENCES_BINDING}{did}\n"])


def _named(planned: objects.Object) -> str:
    kind = _SECRET if planned["kind"] == "Secret" else _ROLE_BINDING
    return f"{kind}/{planned['metadata']['name']}"
