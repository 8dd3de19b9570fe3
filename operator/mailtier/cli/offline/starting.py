"""A first set of settings for a provider, as YAML that says what is left to do."""

import dataclasses
import datetime as dt
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mailtier.api import names, settings, vocabulary
from mailtier.cli.documents import writing
from mailtier.cli.offline import judging, linting
from mailtier.cli.offline.files import issues, sources, world
from mailtier.settings import binding, drafts, effective, observed, resolve
from mailtier.settings.lints import terms
from mailtier.settings.providers import facts

_WIDTH: Final = 110
_YOURS: Final = "an example"
_NAME: Final = "the settings"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What somebody begins with.

    Attributes:
        organization: Whose settings they are; None for the host's.
        operator_namespace: Where the host's Secrets lie.
        sample: The values that were chosen for the provider.
        display_name: The name in From; None where nobody chose one.
        secret: The name of the Secret with the credentials.
    """

    provider: facts.Provider
    organization: effective.OrganizationKey | None
    operator_namespace: str
    sample: facts.Sample
    display_name: str | None = None
    secret: str = drafts.SECRET

    @property
    def object(self) -> dict[str, Any]:
        """The settings as an object."""
        key = self.organization
        return {
            "apiVersion": names.API_VERSION,
            "kind": names.HOST_KIND if key is None else names.ORG_KIND,
            "metadata": {"name": names.HOST_NAME} if key is None else {"name": key.name, "namespace": key.namespace},
            "spec": drafts.spec(
                self.provider,
                self.sample,
                display_name=self.display_name or drafts.DISPLAY_NAME,
                secret=self.secret,
                is_organization=key is not None,
            ),
        }


def find_faults(start: Start, *, now: dt.datetime) -> list[issues.Issue]:
    """Return what `mailtier lint` would say of the settings that is more than an info.

    Args:
        start: What the settings are made from.
        now: Aware UTC time, for what ends.
    """
    read = sources.parse(_NAME, writing.dump(start.object))
    judge = judging.Judge(world.build(read), operator_namespace=start.operator_namespace, now=now)
    return [issue for issue in linting.find(judge, now=now) if issue.severity != terms.LintSeverity.INFO]


def text(start: Start) -> str:
    """Return the settings and the skeleton of their Secret as YAML, with what to do in comments.

    The skeleton has no value: what stands in a repository is no password, and applying it again leaves the one that was
    put there.

    Args:
        start: Settings in which `find_faults` found no error.
    """
    need, servers = _needed(start)
    whose = "The host's settings" if start.organization is None else f"Settings of {start.organization}"
    head = [f"{whose} for {start.provider.title}, written by `mailtier init`.", ""]
    if limits := list(_limits(start.provider)):
        head += [*limits, ""]
    head += instructions(start)
    parts = ["".join(f"# {line}".rstrip() + "\n" for line in head), "\n"]
    parts += (f"{line}\n" for line in _commented(writing.dump(start.object), _comments(start)))
    if need is not None:
        parts += ("---\n", writing.dump(_skeleton(need, servers)))
    return "".join(parts)


def instructions(start: Start) -> list[str]:
    """Return what to do at the provider and in the cluster, as lines.

    Args:
        start: Settings in which `find_faults` found no error.
    """
    lines = [f"At {start.provider.title}, before the first message:"]
    steps = start.provider.steps
    for number, (step, following) in enumerate(zip(steps, (*steps[1:], None), strict=True), start=1):
        lines += _wrapped(step.value, first=f"{number}. ")
        # Of steps that one page has, the last names it.
        if following is None or following.source != step.source:
            lines += [f"   {step.source.url}", f"   (read on {step.source.looked_up})"]
    lines += ["", "In the cluster, once what is marked as an example is yours:"]
    lines += (f"   {command}" for command in _commands(start))
    if start.organization is not None:
        lines += _wrapped(_condition(start), first="")
    return lines


def _commands(start: Start) -> Iterator[str]:
    key = start.organization
    need, servers = _needed(start)
    yield "kubectl apply -f FILE"
    if need is not None:
        endpoints = " ".join(f"--endpoint {server}" for server in servers)
        yield from (_bind(need, each.name, endpoints) for each in need.keys)
    yield "mailtier verify --host" if key is None else f"mailtier verify {key}"


def _bind(need: observed.SecretNeed, key: str, endpoints: str) -> str:
    """Return the command that puts a value into the Secret, and lets the operator read it."""
    is_usual = key in {names.PASSWORD_KEY, names.CLIENT_SECRET_KEY}
    return f"mailtier bind {need.name} -n {need.namespace} {endpoints}" + ("" if is_usual else f" --key {key}")


def _condition(start: Start) -> str:
    """Return what the host's policy has to say for an organization; "" where nothing."""
    found = []
    if start.provider.hosts is None:
        found.append("policy.endpoints.allow lists the server, where its address is not public")
    if start.sample.username is None:
        found.append("policy.endpoints.anonymous is true, as no credentials are used")
    return f"The host's policy has to agree: {', and '.join(found)}." if found else ""


def _needed(start: Start) -> tuple[observed.SecretNeed | None, tuple[binding.BoundServer, ...]]:
    """Return what has to stand in a Secret, and where it is sent; no need without credentials."""
    spec, key = start.object["spec"], start.organization
    if key is None:
        plan = resolve.plan_host(settings.HostSpec.model_validate(spec), operator_namespace=start.operator_namespace)
    else:
        plan = resolve.plan(
            observed.Observed(
                organization=key,
                namespace_uid="",
                namespace_labels={},
                operator_namespace=start.operator_namespace,
                host=None,
                org=settings.OrgSpec.model_validate(spec),
            )
        )
    need = plan.values.secret
    endpoint, auth = plan.values.endpoint, plan.values.auth
    if need is None or endpoint is None or auth is None:
        return None, ()
    return need, binding.servers(endpoint, auth)


def _skeleton(need: observed.SecretNeed, servers: tuple[binding.BoundServer, ...]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": need.name,
            "namespace": need.namespace,
            "annotations": {names.ENDPOINT_ANNOTATION: ",".join(map(str, servers))},
        },
        "type": "Opaque",
    }


def _limits(provider: facts.Provider) -> Iterator[str]:
    """Yield the limits that no field keeps to."""
    for words, fact in provider.limits.known():
        if words in {facts.LIMITS[name] for name in _KEPT}:
            continue
        note = f" ({fact.note})" if fact.note else ""
        yield from _wrapped(f"Limit: {fact.value:,} {words}{note}", first="")


_KEPT: Final = {
    "connections": "maxConnections",
    "messages_per_connection": "messagesPerConnection",
    "messages_per_minute": "endpointRatePerMinute",
}
"""Which field keeps to which limit."""


def _comments(start: Start) -> dict[str, str]:
    """Return what stands beside fields, by their paths."""
    provider, sample = start.provider, start.sample
    example = provider.sample
    found = {}
    mode = drafts.tls_mode(provider)
    (other,) = {vocabulary.TlsMode.STARTTLS, vocabulary.TlsMode.IMPLICIT} - {mode}
    others = ", ".join(map(str, drafts.ports(provider, mode)[1:]))
    beside = ", ".join(map(str, drafts.ports(provider, other)))
    if others or beside:
        listed = "; ".join(filter(None, (others, beside and f"{beside} with tls.mode {other}")))
        found["spec.smtp.port"] = f"or {listed}, in the Secret's annotation too"
    is_one = provider.hosts is not None and example.host in provider.hosts.value
    if sample.host == example.host and not is_one:
        found["spec.smtp.host"] = _YOURS
    is_shared = provider.shared_usernames is not None and sample.username in provider.shared_usernames.value
    if sample.username == example.username and not is_shared:
        found["spec.auth.username"] = _YOURS
    found |= {f"spec.auth.oauth2.{name}": _YOURS for name in ("tokenURL", "clientID")}
    if sample.from_address == example.from_address:
        found["spec.from.address"] = _YOURS
        found["spec.delivery.heloName"] = _YOURS
    if start.display_name is None:
        found["spec.from.displayName"] = _YOURS
    for name, field in _KEPT.items():
        fact: facts.Fact[int] | None = getattr(provider.limits, name)
        if fact is not None:
            note = f", {fact.note}" if fact.note else ""
            found[f"spec.delivery.{field}"] = f"of {fact.value:,} {facts.LIMITS[name]}{note}"
    return found


def _commented(document: str, comments: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of an object with comments behind the fields that they are about."""
    path: list[tuple[int, str]] = []
    for line in document.splitlines():
        key = line.strip().partition(":")[0]
        indent = len(line) - len(line.lstrip())
        while path and path[-1][0] >= indent:
            path.pop()
        path.append((indent, key))
        comment = comments.get(".".join(name for _, name in path))
        yield line if comment is None else f"{line}  # {comment}"


def _wrapped(sentence: str, *, first: str) -> list[str]:
    return textwrap.wrap(
        sentence,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )
