"""The way to the sender: through its pod, or to the intake's address, with a token that it takes."""

import asyncio
import contextlib
import dataclasses
import functools
import http
import inspect
import pathlib
import ssl
import typing
import urllib.parse
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import typer

from mailtier.api import secret
from mailtier.cli import failures, options
from mailtier.cli.online import intake, target
from mailtier.kube import trust

_DEFAULT_ACCOUNT: Final = "default"
_INSTEAD: Final = "give --url, --ca and --token-file"
_NOT_THERE: Final = frozenset({http.HTTPStatus.FORBIDDEN, http.HTTPStatus.NOT_FOUND})
"""What the intake answers of a namespace that is not there: it may not look."""


LONGEST_SECONDS: Final = 600.0
"""For the whole of a command: a list of hundred thousands takes a while."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the command line says of the way; the fields are the options, with their defaults."""

    url: options.Url = ""
    ca: options.Ca = None
    token_file: options.TokenFile = None
    server_name: options.ServerName = ""
    as_service_account: options.AsServiceAccount = ""
    operator_namespace: options.OperatorNamespace = options.OPERATOR_NAMESPACE
    context: options.Context = ""
    kubeconfig: options.Kubeconfig = None


def with_choice(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command that has the options of the way after its own, and is given them as `choice`."""
    hints = typing.get_type_hints(Choice, include_extras=True)
    fields = dataclasses.fields(Choice)

    @functools.wraps(command)
    def run(**given: Any) -> None:
        choice = Choice(**{field.name: given.pop(field.name) for field in fields})
        command(choice=choice, **given)

    signature = inspect.signature(command)
    own = [parameter for name, parameter in signature.parameters.items() if name != "choice"]
    ours = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields
    ]
    # Typer makes its options of the signature.
    vars(run)["__signature__"] = signature.replace(parameters=[*own, *ours])
    return run


@contextlib.asynccontextmanager
async def open_intake(
    choice: Choice, organization: target.OrganizationName | None
) -> AsyncIterator[intake.IntakeClient]:
    """Give a client of the intake that speaks for a ServiceAccount.

    Args:
        choice: The command line.
        organization: Whose namespace has the account where none is named; None for the host.

    Raises:
        CommandError: There is no way to it.
    """
    account = _account(choice, organization)
    token = None if choice.token_file is None else _read_token(choice.token_file)
    address = _address_of(choice) if choice.url else None
    async with contextlib.AsyncExitStack() as stack:
        api = None
        if token is None or address is None:
            # The kubernetes package takes a quarter of a second to import; who has both does without.
            from mailtier.cli.online import cluster, through_pod  # noqa: PLC0415 - As above.

            connecting = cluster.connect(context=choice.context, kubeconfig=choice.kubeconfig, instead=_INSTEAD)
            api = await stack.enter_async_context(connecting)
            if token is None and organization is not None and account.namespace == organization.namespace:
                await cluster.require_namespace(api, organization.namespace)
            if token is None:
                token = await cluster.request_token(api, namespace=account.namespace, account=account.name)
            if address is None:
                address = await stack.enter_async_context(
                    through_pod.address(
                        api,
                        namespace=choice.operator_namespace,
                        server_name=choice.server_name,
                        trust=lambda published: _trust(choice.ca, published),
                        own_ca=choice.ca is not None,
                    )
                )
        try:
            yield await stack.enter_async_context(intake.IntakeClient(address, token))
        except intake.RefusedError as error:
            if api is not None and organization is not None and error.http_status in _NOT_THERE:
                await cluster.require_namespace(api, organization.namespace)
            raise


def _account(choice: Choice, organization: target.OrganizationName | None) -> target.OrganizationName:
    """Return whose token is asked for."""
    if not choice.as_service_account:
        namespace = choice.operator_namespace if organization is None else organization.namespace
        return target.OrganizationName(namespace=namespace, name=_DEFAULT_ACCOUNT)
    namespace, slash, name = choice.as_service_account.partition("/")
    if not slash or not namespace or not name:
        raise typer.BadParameter(
            f"{choice.as_service_account!r} is not NAMESPACE/NAME", param_hint="--as-service-account"
        )
    return target.OrganizationName(namespace=namespace, name=name)


def open_namespace(choice: Choice, namespace: str) -> contextlib.AbstractAsyncContextManager[intake.IntakeClient]:
    """Give the intake, for an account of a namespace.

    Raises:
        BadParameter: It is no namespace.
    """
    if not namespace or "/" in namespace:
        raise typer.BadParameter(f"{namespace!r} is not the name of a namespace", param_hint="NAMESPACE")
    return open_patiently(choice, target.OrganizationName.parse(namespace))


@contextlib.asynccontextmanager
async def open_patiently(choice: Choice, organization: target.OrganizationName) -> AsyncIterator[intake.IntakeClient]:
    """Give the intake, for as long as any command may take.

    Raises:
        CommandError: It takes longer.
    """
    try:
        async with asyncio.timeout(LONGEST_SECONDS), open_intake(choice, organization) as opened:
            yield opened
    except TimeoutError as error:
        raise failures.CommandError(
            f"it has no end within {LONGEST_SECONDS:g} s: ask for less at once, as with --state or --organization",
            status=failures.Status.TIMED_OUT,
        ) from error


def _address_of(choice: Choice) -> intake.IntakeAddress:
    parts = urllib.parse.urlsplit(choice.url)
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment:
        raise typer.BadParameter(
            f"{choice.url!r} must begin with https://, such as https://mailtier.mailtier-system.svc", param_hint="--url"
        )
    url = choice.url.rstrip("/")
    return intake.IntakeAddress(shown=url, url=url, tls=_trust(choice.ca, None), server_name=choice.server_name or None)


def _trust(file: pathlib.Path | None, pem: str | None) -> ssl.SSLContext:
    try:
        return trust.client_context(cafile=None if file is None else str(file), cadata=pem)
    except (ssl.SSLError, ValueError) as error:
        raise failures.CommandError(
            f"{file or 'the published authority'} holds no certificate in PEM", status=failures.Status.USAGE
        ) from error


def _read_token(file: pathlib.Path) -> secret.Hidden:
    try:
        text = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        raise failures.CommandError(f"{file} cannot be read as a token", status=failures.Status.USAGE) from error
    # What is no single word would be a header of its own, or an error that quotes it.
    if not text or not text.isprintable() or " " in text:
        raise failures.CommandError(f"{file} holds no token", status=failures.Status.USAGE)
    return secret.Hidden(text)
