"""What a read of a Secret or a CA bundle would find, from the objects in files, or assumed where they are not there.

Secrets are seldom in a repository, or their values are not. What is not in the input is taken to exist and to be fit,
unless strictness is asked for, and what was taken for granted is told.
"""

import base64
import binascii
import dataclasses
import datetime as dt
import itertools
from collections.abc import Sequence
from typing import Any, Final

from mailtier.api import names, prose
from mailtier.cli.offline.files import sources, world
from mailtier.settings import bundles, fitness, observed, resolve

UNKNOWN_BUNDLE: Final = "unknown"
"""Stands for the digest of a CA bundle that is not in the input."""


@dataclasses.dataclass(slots=True, kw_only=True)
class Assumed:
    """What was taken for granted, as people call it."""

    secrets: set[str] = dataclasses.field(default_factory=set)
    values: set[str] = dataclasses.field(default_factory=set)
    bundles: set[str] = dataclasses.field(default_factory=set)
    namespaces: set[str] = dataclasses.field(default_factory=set)

    def __str__(self) -> str:
        taken = (
            (len(self.secrets), "Secret", "exist and be bound"),
            (len(self.values), "empty Secret", "be filled"),
            (len(self.bundles), "CA bundle", "exist"),
            (len(self.namespaces), "Namespace", "have the labels that policy.organizations asks for"),
        )
        return ", ".join(f"{prose.counted(number, noun)} to {what}" for number, noun, what in taken if number)


class FileReads:
    """Answers what plans need to have read."""

    def __init__(self, objects: world.World, *, strict: bool, now: dt.datetime) -> None:
        """Make a reader.

        Args:
            objects: What there is.
            strict: Whether what is not there does not exist.
            now: Aware UTC time, for certificates that end.
        """
        self._now = now
        self._world = objects
        self._strict = strict
        self.assumed = Assumed()
        self.repeated: dict[tuple[str, str, str], None] = {}

    def read(self, plan: resolve.Plan) -> list[observed.Reads]:
        """Return what a plan needs to have read; more than one where an object stands more than once."""
        found = self._reads(plan, plan)
        if plan.fallback is None:
            return found
        there = self._reads(plan, plan.fallback)
        return [
            dataclasses.replace(first, fallback=fallback)
            for first, fallback in itertools.product(found, there)
            if _are_of_one(plan, first, fallback)
        ]

    def _reads(self, whole: resolve.Plan, plan: resolve.Plan) -> list[observed.Reads]:
        """Return what one server of a plan needs to have read."""
        secrets: Sequence[observed.SecretRead | None] = (None,)
        certificates: Sequence[observed.SecretRead | None] = (None,)
        authorities: Sequence[observed.CaRead | None] = (None,)
        if plan.secret is not None:
            secrets = self._secrets(whole, plan.secret)
        if plan.certificate is not None:
            certificates = self._secrets(whole, plan.certificate)
        if plan.ca is not None:
            authorities = self._bundles(plan.ca)
        return [
            observed.Reads(secret=secret, certificate=certificate, ca=ca)
            for secret, certificate, ca in itertools.product(secrets, certificates, authorities)
        ]

    def _secrets(self, plan: resolve.Plan, need: observed.SecretNeed) -> list[observed.SecretRead]:
        found = self._found("Secret", need.namespace, need.name)
        return list(dict.fromkeys(self._secret_read(document, need) for document in found)) or [
            self._assumed_secret(plan, need)
        ]

    def _secret_read(self, document: sources.Document, need: observed.SecretNeed) -> observed.SecretRead:
        read = _secret_read(document, need, now=self._now)
        if self._strict or not _is_skeleton(document):
            return read
        self.assumed.values.add(f"{need.namespace}/{need.name}")
        return dataclasses.replace(read, unfit=None, problem="")

    def _bundles(self, need: observed.CaNeed) -> list[observed.CaRead]:
        found = self._found(need.kind, need.namespace, need.name)
        return list(dict.fromkeys(_bundle_read(document, need) for document in found)) or [self._assumed_bundle(need)]

    def _found(self, kind: str, namespace: str, name: str) -> list[sources.Document]:
        found = self._world.all_of(kind, namespace, name)
        if len(found) > 1:
            self.repeated[kind, namespace, name] = None
        return found

    def _assumed_secret(self, plan: resolve.Plan, need: observed.SecretNeed) -> observed.SecretRead:
        if self._strict:
            return observed.SecretRead(outcome=observed.ReadOutcome.NOT_FOUND)
        self.assumed.secrets.add(f"{need.namespace}/{need.name}")
        bound = ",".join(map(str, plan.wanted(need)))
        return observed.SecretRead(outcome=observed.ReadOutcome.FOUND, annotation=bound)

    def _assumed_bundle(self, need: observed.CaNeed) -> observed.CaRead:
        if self._strict:
            return observed.CaRead(outcome=observed.ReadOutcome.NOT_FOUND)
        self.assumed.bundles.add(f"{need.kind} {need.namespace}/{need.name}")
        return observed.CaRead(outcome=observed.ReadOutcome.FOUND, digest=UNKNOWN_BUNDLE)


def _are_of_one(plan: resolve.Plan, first: observed.Reads, fallback: observed.Reads) -> bool:
    """Return whether what both servers read is the same in both, where an object stands more than once."""
    there = plan.fallback
    assert there is not None
    return (
        (plan.secret != there.secret or first.secret == fallback.secret)
        and (plan.certificate != there.certificate or first.certificate == fallback.certificate)
        and (plan.ca != there.ca or first.ca == fallback.ca)
    )


def _secret_read(document: sources.Document, need: observed.SecretNeed, *, now: dt.datetime) -> observed.SecretRead:
    metadata = document.metadata
    uid, resource_version = metadata.get("uid"), metadata.get("resourceVersion")
    annotation = _mapping(metadata.get("annotations")).get(names.ENDPOINT_ANNOTATION)
    if "sops" in document.body:
        # What is encrypted in the repository is judged in the cluster; that a key is absent is seen here too.
        missing = (key for key in need.keys if _value(document, key.name) is None)
        judged = fitness.absent(next(missing, None))
    else:
        kind = document.body.get("type")
        judged = fitness.judge(
            need, lambda key: _secret_value(document, key), kind=kind if isinstance(kind, str) else "", now=now
        )
    return observed.SecretRead(
        outcome=observed.ReadOutcome.FOUND,
        version=f"{uid}/{resource_version}" if uid and resource_version else "",
        annotation=annotation if isinstance(annotation, str) else None,
        unfit=judged.unfit,
        problem=judged.problem,
        expires_at=judged.expires_at,
    )


def _is_skeleton(document: sources.Document) -> bool:
    """Return whether a Secret stands in the repository for its annotation alone, and its values come from elsewhere.

    One that a cluster printed, with its uid, has none there either.
    """
    values = (document.body.get(field) for field in ("data", "stringData"))
    return not any(map(_mapping, values)) and "uid" not in document.metadata


def _secret_value(document: sources.Document, key: str) -> bytes | None:
    value = _value(document, key)
    if value is None:
        return None
    try:
        return value.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        # A lone surrogate of YAML's own, which is not UTF-8 either.
        return value.encode(errors="surrogatepass")


def _bundle_read(document: sources.Document, need: observed.CaNeed) -> observed.CaRead:
    value = _value(document, need.key)
    if value is None:
        return observed.CaRead(outcome=observed.ReadOutcome.FOUND, problem=f"it has no key {need.key}")
    if "sops" in document.body:
        return observed.CaRead(outcome=observed.ReadOutcome.FOUND, digest=UNKNOWN_BUNDLE)
    try:
        return observed.CaRead(outcome=observed.ReadOutcome.FOUND, digest=bundles.parse(value).digest)
    except bundles.BundleError as error:
        return observed.CaRead(outcome=observed.ReadOutcome.FOUND, problem=str(error))


def _value(document: sources.Document, key: str) -> str | None:
    """Return the text under a key of a Secret or a ConfigMap; None where the operator would find none."""
    text = _mapping(document.body.get("stringData")).get(key) if document.kind == "Secret" else None
    if text is None:
        text = _mapping(document.body.get("data")).get(key)
        if document.kind == "Secret" and isinstance(text, str) and "sops" not in document.body:
            try:
                # YAML may fold what base64 holds; what is not UTF-8 stands as surrogates, as in a cluster.
                return base64.b64decode("".join(text.split()), validate=True).decode("utf-8", "surrogateescape")
            except (binascii.Error, ValueError):
                return None
    return text if isinstance(text, str) else None


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
