"""Every way in which the intake says no (RFC 9457), with what the caller can do about it.

`docs/reference/problems.md` has an entry for each; its anchor is the problem's type.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Final

from aiohttp import web

MEDIA_TYPE: Final = "application/problem+json"
TYPE_BASE: Final = "https://mailtier.dev/docs/reference/problems#"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProblemKind:
    """A class of problems.

    Attributes:
        slug: The anchor of its documentation, the end of its type URI.
        title: What went wrong, the same for every occurrence (RFC 9457 section 3.1.4).
        meaning: For the documentation: when it occurs and what to do.
    """

    slug: str
    status: int
    title: str
    meaning: str

    @property
    def type(self) -> str:
        """The type URI."""
        return TYPE_BASE + self.slug


MALFORMED: Final = ProblemKind(
    slug="malformed",
    status=400,
    title="The request cannot be read",
    meaning="The body is not JSON in UTF-8, or a header is not what it should be; `detail` says where.",
)
NOT_AUTHENTICATED: Final = ProblemKind(
    slug="not-authenticated",
    status=401,
    title="The request carries no token that the cluster accepts",
    meaning="Send `Authorization: Bearer TOKEN` with a ServiceAccount token for the audience `mailtier`: a projected"
    " volume with `serviceAccountToken.audience: mailtier`, or `kubectl create token NAME --audience=mailtier`.",
)
NOT_ALLOWED: Final = ProblemKind(
    slug="not-allowed",
    status=403,
    title="The caller may not do this in the namespace",
    meaning="Bind a Role in the namespace of the request that grants `create` on `notifications` in the API group"
    " `mailtier.dev`, to send, to look up what was sent, and to probe; `list` for lists, `get` for one of a list,"
    " `update` to send again, drop and release. To probe the host's endpoint takes a ClusterRole"
    " that grants `update` on `hostemailsettings`. A change takes up to ten seconds to be seen.",
)
NOT_FOUND: Final = ProblemKind(
    slug="not-found",
    status=404,
    title="There is no such path or notification",
    meaning="Look at `/openapi.json` for the paths. A notification is kept for a while after its end, and found only"
    " under the organization that it was sent for.",
)
UNKNOWN_ORGANIZATION: Final = ProblemKind(
    slug="unknown-organization",
    status=404,
    title="The namespace has no such organization",
    meaning="Create an OrgEmailSettings of that name in the namespace, or any where the path names none; `spec: {}`"
    " inherits everything. Right after it"
    " was created, wait a second and try again.",
)
METHOD_NOT_ALLOWED: Final = ProblemKind(
    slug="method-not-allowed",
    status=405,
    title="The path does not take this method",
    meaning="Use a method that the header `Allow` names.",
)
TOO_SLOW: Final = ProblemKind(
    slug="too-slow",
    status=408,
    title="The request did not arrive in time",
    meaning="The body of a request has 10 seconds to arrive. Send it again.",
)
KEY_REUSED: Final = ProblemKind(
    slug="idempotency-key-reused",
    status=409,
    title="The idempotency key belongs to another notification",
    meaning="A key stands for one notification until seven days after its end. Use a new key for a new notification.",
)
NOT_PROBEABLE: Final = ProblemKind(
    slug="not-probeable",
    status=409,
    title="Nothing is connected to with these settings",
    meaning="The settings are blocked, unresolved or suspended; `detail` says which. Mend what the condition Ready of"
    " the object says first.",
)
NOT_RETRYABLE: Final = ProblemKind(
    slug="not-retryable",
    status=409,
    title="There is nothing of it that can be sent again",
    meaning="None of its recipients failed, expired or was suppressed, or its text is wiped: that is kept for seven"
    " days, goes first where the namespace's share of the volume is used up, and is never kept of a password recovery;"
    " `detail` says which. Hand it over as a new notification.",
)
NOT_DROPPABLE: Final = ProblemKind(
    slug="not-droppable",
    status=409,
    title="There is nothing of it that can be dropped",
    meaning="All of its recipients have ended, as accepted or otherwise, and no text of it is kept: what was delivered"
    " is not taken back.",
)
UNDER_WAY: Final = ProblemKind(
    slug="under-way",
    status=409,
    title="A recipient is being delivered to at this moment",
    meaning="What is on the wire is not taken back. Its other recipients are dropped. Drop it again after some"
    " seconds.",
)
TOO_LARGE: Final = ProblemKind(
    slug="too-large",
    status=413,
    title="The notification is too large",
    meaning="A notification holds at most 256 KiB in all. Shorten it, or link to what is long.",
)
BATCH_TOO_LARGE: Final = ProblemKind(
    slug="batch-too-large",
    status=413,
    title="The batch is too large",
    meaning="A batch holds at most 500 notifications, goes to 1,000 recipients in all, and has 4 MiB. Nothing of it was"
    " taken. Send it in parts, each notification with the same idempotency key.",
)
NOT_JSON: Final = ProblemKind(
    slug="not-json",
    status=415,
    title="The body is not declared as JSON",
    meaning="Send `Content-Type: application/json`, in UTF-8, without `Content-Encoding`.",
)
INVALID: Final = ProblemKind(
    slug="invalid",
    status=422,
    title="The request is not valid",
    meaning="`errors` names each field at fault as a JSON pointer, and says what is allowed.",
)
NOT_TAKEN: Final = ProblemKind(
    slug="not-taken",
    status=422,
    title="The organization's settings do not let this notification through",
    meaning="The category is switched off, nobody is named who would get it, or a recipient is in a domain that the"
    " host's policy does not list. `errors` says what to change where.",
)
TOO_MANY: Final = ProblemKind(
    slug="too-many",
    status=429,
    title="Too many notifications are waiting or arriving",
    meaning="A namespace has at most so many messages and bytes waiting as the quota of the host's policy says, else"
    " 5,000 and 64 MiB; what is kept of them has a share of the volume (128 MiB); and an"
    " organization sends at most 30 password recoveries a minute. `detail` says which it is"
    " and what is allowed. Wait as long as `Retry-After` says. If it lasts, look why delivery does not go on.",
)
PROBED_LATELY: Final = ProblemKind(
    slug="probed-lately",
    status=429,
    title="The namespace has had its probes",
    meaning="A namespace has three probes at once, then one a minute, so that probes are no port scanner and load no"
    " relay; the sender's own probes count at an organization's own endpoint, and after its changes at the host's."
    " Wait as long as `Retry-After` says; what the"
    " last one found stands in the condition Verified.",
)
TOO_MANY_PROBES: Final = ProblemKind(
    slug="too-many-probes",
    status=429,
    title="Too many answers to probes are open",
    meaning="Whoever asks for a probe holds a connection until its end. A namespace has eight of them at the same time,"
    " and all together 64, so that places are left for notifications; the last 32 of these are for namespaces that have"
    " none, one for each. Wait as long as `Retry-After` says, and read what"
    " those find that are open; the condition Verified has it too.",
)
TOO_MANY_REFUSED: Final = ProblemKind(
    slug="too-many-refused",
    status=429,
    title="Too many requests from there were not let in",
    meaning="Who a caller is and what it may do is asked of the Kubernetes API. An address whose tokens, or an account"
    " whose questions, came to nothing twenty times has one more each second, so that others are answered. Tokens that"
    " were accepted within a minute are not asked about. Look which client sends tokens of pods that are gone, or asks"
    " in namespaces where it has no right.",
)
BROKEN: Final = ProblemKind(
    slug="broken",
    status=500,
    title="The sender failed",
    meaning="A defect of the sender; its log has the details. Send the request again with the same idempotency key.",
)
UNAVAILABLE: Final = ProblemKind(
    slug="unavailable",
    status=503,
    title="The sender cannot check or take requests at present",
    meaning="The Kubernetes API does not answer, so that nobody can be let in, the sender is starting or ending, or"
    " so many bodies arrive slowly that there is no room for another; `detail` says which."
    " Send the request again after `Retry-After`, with the same idempotency key.",
)
QUEUE_AWAY: Final = ProblemKind(
    slug="queue-away",
    status=503,
    title="The sender's queue does not answer",
    meaning="Its database is away, as while another server takes over, or its volume is slow. What was acknowledged is"
    " safe. A notification that is answered so may be stored, or not: send it again after `Retry-After`, with the same"
    " idempotency key. If it lasts, the platform team looks at the database.",
)
FULL: Final = ProblemKind(
    slug="storage-full",
    status=507,
    title="The sender's volume is full",
    meaning="Nothing new is taken until messages have gone out; what was taken is safe. The platform team can enlarge"
    " the volume.",
)

ALL: Final[tuple[ProblemKind, ...]] = tuple(
    value for value in list(globals().values()) if isinstance(value, ProblemKind)
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """One field at fault.

    Attributes:
        pointer: JSON pointer as a URI fragment (RFC 6901 section 6), `#` for the whole.
        detail: What is allowed, never what was sent.
    """

    pointer: str
    detail: str


class HttpProblem(Exception):  # noqa: N818  # The word of RFC 9457.
    """The request is refused.

    Args:
        detail: What is so and what to do, in this case.
    """

    def __init__(
        self,
        kind: ProblemKind,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})

    def document(self) -> dict[str, object]:
        """Return the members of the problem document."""
        members: dict[str, object] = {
            "type": self.kind.type,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
        }
        if self.errors:
            members["errors"] = [dataclasses.asdict(error) for error in self.errors]
        return members

    def encoded(self) -> bytes:
        """Return the problem document as it is sent."""
        return json.dumps(self.document()).encode()

    def response(self) -> web.Response:
        """Return the answer."""
        return web.Response(status=self.kind.status, body=self.encoded(), content_type=MEDIA_TYPE, headers=self.headers)
