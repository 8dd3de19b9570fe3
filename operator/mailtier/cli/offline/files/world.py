"""What a cluster would hold after the objects of some files were applied to it, as far as settings look at it."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import pydantic

from mailtier.api import kinds, names, problems, reasons, settings
from mailtier.cli.offline.files import issues, sources
from mailtier.settings import effective, observed
from mailtier.settings.lints import terms

_DEFAULT_NAMESPACE: Final = "default"
_NAME_LABEL: Final = "kubernetes.io/metadata.name"
# Kinds that only Mailtier has; a Notification of another group is somebody else's.
_UNMISTAKABLE: Final = frozenset({names.HOST_KIND, names.ORG_KIND})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The HostEmailSettings."""

    document: sources.Document
    spec: settings.HostSpec | observed.Invalid


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """An OrgEmailSettings."""

    document: sources.Document
    spec: settings.OrgSpec | observed.Invalid


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """A namespace.

    Attributes:
        uid: "" where only a cluster knows it.
        labels: With the one that the API server adds.
        document: None for a namespace that is only named by what is in it; its labels are not known then.
    """

    uid: str
    labels: Mapping[str, str]
    document: sources.Document | None


@dataclasses.dataclass(slots=True, kw_only=True)
class World:
    """The objects by kind and key.

    Of two with the same name neither is taken for the only one: `repeated` has all of them, to be judged by each.

    Attributes:
        repeated: The objects that settings refer to, where more than one has the same kind, namespace and name.
        superseded: The organizations' objects that another one with the same name follows.
        ours: Every object of our kinds, in its order.
        objects: How many objects were read, of whatever kind.
        files: How many files were read.
        skipped: How many files could not be read and say nothing of Mailtier.
        templates: How many files have to be rendered first.
        unbuilt: The folders whose kustomization was not built.
        noted: What is wrong with files and objects before anything is resolved.
        populated: The namespaces that hold an OrgEmailSettings.
        deleting: The namespaces that are on their way out, which hold no organizations.
    """

    host: Host | None = None
    organizations: dict[effective.OrganizationKey, Organization] = dataclasses.field(default_factory=dict)
    namespaces: dict[str, Namespace] = dataclasses.field(default_factory=dict)
    secrets: dict[tuple[str, str], sources.Document] = dataclasses.field(default_factory=dict)
    config_maps: dict[tuple[str, str], sources.Document] = dataclasses.field(default_factory=dict)
    repeated: dict[tuple[str, str, str], list[sources.Document]] = dataclasses.field(default_factory=dict)
    superseded: list[tuple[effective.OrganizationKey, Organization]] = dataclasses.field(default_factory=list)
    ours: list[sources.Document] = dataclasses.field(default_factory=list)
    noted: list[issues.Issue] = dataclasses.field(default_factory=list)
    populated: set[str] = dataclasses.field(default_factory=set)
    deleting: set[str] = dataclasses.field(default_factory=set)
    objects: int = 0
    files: int = 0
    skipped: int = 0
    templates: int = 0
    unbuilt: tuple[str, ...] = ()

    def all_of(self, kind: str, namespace: str, name: str) -> list[sources.Document]:
        """Return every Secret or ConfigMap of a name; none where there is none."""
        found = (self.secrets if kind == "Secret" else self.config_maps).get((namespace, name))
        return self.repeated.get((kind, namespace, name), [found] if found is not None else [])

    def spaces(self, name: str) -> list[Namespace]:
        """Return what is known of a namespace: more than one where it stands more than once."""
        again = self.repeated.get(("Namespace", "", name))
        return [self.namespaces[name]] if again is None else [_namespace(document) for document in again]


def build(read: sources.Read) -> World:
    """Return the world that the objects of files make."""
    return _Builder(read).world


def key_of(document: sources.Document) -> effective.OrganizationKey:
    """Return namespace and name of an object; kubectl applies what names no namespace to `default`."""
    namespace = document.metadata.get("namespace")
    return effective.OrganizationKey(
        namespace=namespace if isinstance(namespace, str) and namespace else _DEFAULT_NAMESPACE, name=document.name
    )


def subject_of(document: sources.Document) -> str:
    """Return what people call an object, as in `OrgEmailSettings acme/default`."""
    key = key_of(document)
    is_cluster_wide = document.kind in {names.HOST_KIND, "Namespace"}
    return f"{document.kind} {key.name if is_cluster_wide else key}"


def duplicates(documents: Sequence[sources.Document]) -> Iterator[issues.Issue]:
    """Yield an issue for every object that stands somewhere already.

    Args:
        documents: All with the same kind, namespace and name, in their order.
    """
    for document in documents[1:]:
        yield issues.Issue(
            rule=issues.DUPLICATE_OBJECT,
            severity=terms.LintSeverity.ERROR,
            place=document.place(),
            subject=subject_of(document),
            field="",
            message=f"stands at {documents[0].place()} already; remove one of them, or look at each environment by"
            " itself",
        )


def _namespace(document: sources.Document) -> Namespace:
    labels = document.metadata.get("labels")
    texts = {str(key): str(value) for key, value in labels.items()} if isinstance(labels, dict) else {}
    uid = document.metadata.get("uid")
    return Namespace(
        uid=uid if isinstance(uid, str) else "", labels={**texts, _NAME_LABEL: document.name}, document=document
    )


class _Builder:
    """Takes in objects one by one."""

    def __init__(self, read: sources.Read) -> None:
        self.world = World()
        self._first: dict[tuple[str, effective.OrganizationKey], sources.Document] = {}
        self.world.objects = len(read.documents)
        for unreadable in read.unreadable:
            self.world.skipped += unreadable.why == sources.Unread.FOREIGN
            self.world.templates += unreadable.why == sources.Unread.TEMPLATE
            if unreadable.why == sources.Unread.FOREIGN:
                continue
            is_template = unreadable.why == sources.Unread.TEMPLATE
            self.world.noted.append(
                issues.Issue(
                    rule=issues.NOT_READABLE,
                    severity=terms.LintSeverity.INFO if is_template else terms.LintSeverity.ERROR,
                    place=unreadable.place,
                    subject="",
                    field="",
                    message=unreadable.message,
                )
            )
        for place in read.replaced:
            self.world.noted.append(
                issues.Issue(
                    rule=issues.NOT_UTF8,
                    severity=terms.LintSeverity.WARNING,
                    place=place,
                    subject="",
                    field="",
                    message="these bytes are not text; kubectl reads U+FFFD in their place, so save the file as UTF-8",
                )
            )
        self.world.unbuilt = read.unbuilt
        self.world.files = len(read.files) - self.world.skipped
        for document in read.documents:
            self._take(document)
        for name in self.world.deleting:
            self.world.namespaces.pop(name, None)

    def _take(self, document: sources.Document) -> None:
        group = document.group_version.rpartition("/")[0]
        if group == names.GROUP or document.kind in _UNMISTAKABLE:
            self._take_ours(document)
            return
        key = key_of(document)
        match document.group_version, document.kind:
            case "v1", "Namespace":
                self._take_namespace(document)
                return
            case "v1", "Secret":
                self._put_once(self.world.secrets, key, document)
            case "v1", "ConfigMap":
                self._put_once(self.world.config_maps, key, document)
        if document.metadata.get("namespace"):
            self._name_namespace(key.namespace)

    def _take_ours(self, document: sources.Document) -> None:
        if document.group_version != names.API_VERSION:
            self._add(issues.UNKNOWN_VERSION, document, "apiVersion", f"is not {names.API_VERSION}; write that version")
            return
        if document.kind not in kinds.ALL:
            known = ", ".join(kinds.ALL)
            self._add(issues.UNKNOWN_KIND, document, "kind", f"is none of {names.GROUP}; its kinds are {known}")
            return
        self.world.ours.append(document)
        self._compare(document)
        fitting = self._validate(document)
        key, spec = key_of(document), document.body.get("spec")
        # An object whose spec alone does not fit is one that older releases let in, as the operator may meet it; what
        # is refused for anything else is not there at all.
        if not key.name:
            self._add(issues.of_reason(reasons.INVALID), document, "metadata.name", "is required")
        elif document.kind == names.HOST_KIND:
            if isinstance(fitting, kinds.HostEmailSettings):
                self.world.host = Host(document=document, spec=fitting.spec)
            elif isinstance(refused := observed.parse_host(spec), observed.Invalid) and key.name == names.HOST_NAME:
                self.world.host = Host(document=document, spec=refused)
        else:
            self._name_namespace(key.namespace)
            if isinstance(fitting, kinds.OrgEmailSettings):
                self._put(key, Organization(document=document, spec=fitting.spec))
            elif document.kind == names.ORG_KIND and isinstance(invalid := observed.parse_org(spec), observed.Invalid):
                self._put(key, Organization(document=document, spec=invalid))

    def _validate(self, document: sources.Document) -> kinds.Object | None:
        """Return an object that the API would take; of another one, None, with everything noted that is wrong."""
        model = kinds.ALL[document.kind]
        try:
            return model.model_validate(document.body)
        except pydantic.ValidationError as error:
            for problem in problems.listed(error, model):
                self._add(issues.of_reason(reasons.INVALID), document, problem.field, problem.message)
        return None

    def _put_once(
        self,
        objects: dict[tuple[str, str], sources.Document],
        key: effective.OrganizationKey,
        document: sources.Document,
    ) -> None:
        first = objects.setdefault((key.namespace, key.name), document)
        if first is not document:
            self._repeat((document.kind, key.namespace, key.name), first, document)

    def _repeat(self, key: tuple[str, str, str], first: sources.Document, document: sources.Document) -> None:
        self.world.repeated.setdefault(key, [first]).append(document)

    def _put(self, key: effective.OrganizationKey, organization: Organization) -> None:
        if key in self.world.organizations:
            self.world.superseded.append((key, self.world.organizations[key]))
        self.world.organizations[key] = organization
        self.world.populated.add(key.namespace)

    def _take_namespace(self, document: sources.Document) -> None:
        if document.metadata.get("deletionTimestamp"):
            self.world.deleting.add(document.name)
            return
        known = self.world.namespaces.get(document.name)
        if known is not None and known.document is not None:
            self._repeat(("Namespace", "", document.name), known.document, document)
            return
        self.world.namespaces[document.name] = _namespace(document)

    def _name_namespace(self, name: str) -> None:
        if name not in self.world.namespaces:
            self.world.namespaces[name] = Namespace(uid="", labels={_NAME_LABEL: name}, document=None)

    def _compare(self, document: sources.Document) -> None:
        key = document.kind, key_of(document)
        first = self._first.setdefault(key, document)
        if first is not document:
            self.world.noted += duplicates((first, document))

    def _add(self, rule: issues.IssueRule, document: sources.Document, field: str, message: str) -> None:
        self.world.noted.append(
            issues.Issue(
                rule=rule,
                severity=terms.LintSeverity.ERROR,
                place=document.place(field),
                subject=subject_of(document),
                field=field,
                message=message,
            )
        )
