"""The description of what people ask of the queue, for tools."""

from typing import Any, Final

from mailtier.api import vocabulary
from mailtier.sender.intake.http import describing, problems
from mailtier.sender.intake.http.people import asking, routes

_ALWAYS: Final = (
    problems.MALFORMED,
    problems.NOT_AUTHENTICATED,
    problems.NOT_ALLOWED,
    problems.UNKNOWN_ORGANIZATION,
    problems.TOO_MANY_REFUSED,
    problems.BROKEN,
    problems.UNAVAILABLE,
    problems.QUEUE_AWAY,
)


def paths() -> dict[str, Any]:
    """Return the paths with their operations."""
    return {
        routes.LIST: {"parameters": describing.parameters("namespace"), "get": _list()},
        routes.ONE: {"parameters": describing.parameters("namespace", "id"), "get": _get()},
        routes.RETRY: {
            "parameters": describing.parameters("namespace"),
            "post": _act(
                "retryNotifications",
                "Send those recipients again that failed, expired or were suppressed, with the present settings and a"
                " new expiry. The Message-ID stays while From's domain does.",
                (problems.NOT_TAKEN, problems.NOT_RETRYABLE, problems.TOO_MANY, problems.FULL),
            ),
        },
        routes.DROP: {
            "parameters": describing.parameters("namespace"),
            "post": _act(
                "dropNotifications",
                "End the recipients that have no end yet, and wipe the text.",
                (problems.NOT_DROPPABLE, problems.UNDER_WAY),
            ),
        },
        routes.SUPPRESSIONS: {
            "parameters": describing.parameters("namespace"),
            "get": {
                "operationId": "listSuppressions",
                "summary": "List the addresses to which the namespace's organizations send nothing for a while: a"
                " server refused them as unknown (5.1.1) in two messages.",
                "parameters": [
                    {
                        "name": "continue",
                        "in": "query",
                        "description": asking.PARAMETERS["continue"],
                        "schema": {"type": "string"},
                    }
                ],
                "responses": {
                    "200": {
                        "description": "A page of the list.",
                        "content": {"application/json": {"schema": describing.reference("SuppressionPage")}},
                    },
                    **describing.answers(*_ALWAYS),
                },
            },
        },
        routes.CLEAR: {
            "parameters": describing.parameters("namespace"),
            "post": {
                "operationId": "clearSuppressions",
                "summary": "Let addresses be tried again, as if no server had refused them.",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": describing.reference("ClearedAddresses")}},
                },
                "responses": {
                    "200": {
                        "description": "How many of them were known.",
                        "content": {"application/json": {"schema": describing.reference("Cleared")}},
                    },
                    **describing.answers(*_ALWAYS, problems.INVALID, problems.NOT_JSON, problems.TOO_SLOW),
                },
            },
        },
        routes.RESUME: {
            "post": {
                "operationId": "resumeQueue",
                "summary": "End the hold of a queue that was restored from a backup. It takes the right to update"
                " HostEmailSettings.",
                "responses": {
                    "200": {
                        "description": "It goes on, if it was held.",
                        "content": {"application/json": {"schema": describing.reference("Resumed")}},
                    },
                    **describing.answers(*_ALWAYS),
                },
            },
        },
        routes.RELEASE: {
            "parameters": describing.parameters("namespace", "organization"),
            "post": {
                "operationId": "releaseOrganization",
                "summary": "Try the organization's messages now; what still holds them holds them again.",
                "responses": {
                    "200": {
                        "description": "They are tried.",
                        "content": {"application/json": {"schema": describing.reference("Released")}},
                    },
                    **describing.answers(*_ALWAYS),
                },
            },
        },
    }


def status(**more: Any) -> dict[str, Any]:
    """Return the schema of where a notification stands, with what else there is."""
    text, moment = {"type": "string"}, {"type": "string", "format": "date-time"}
    required = describing.object_of(
        id=text,
        **more,
        category={"enum": [str(category) for category in vocabulary.Category]},
        acceptedAt=moment,
        complete={"type": "boolean", "description": "Whether every recipient has a final state."},
        recipients={"type": "array", "items": describing.reference("RecipientStatus")},
    )
    until = {**moment, "description": "Until when it is tried; absent once it is complete."}
    return {**required, "properties": {**required["properties"], "expiresAt": until}}


def schemas() -> dict[str, Any]:
    """Return the schemas that the paths name."""
    text = {"type": "string"}
    moment = {"type": "string", "format": "date-time"}
    required = status(organization=text)
    waits = {"type": "boolean", "description": "Whether it has messages that wait."}
    released = describing.object_of(organization=text, waiting=waits)
    held = {
        **describing.object_of(reason=text, message=text),
        "description": "What still holds them; absent if nothing.",
    }
    may_tell = {
        "held": held,
        "triesLogin": {"type": "boolean", "description": "Whether a login that was refused is tried once more."},
        "hastened": {"type": "integer", "description": "Recipients that were deferred until later; absent for none."},
    }
    kept = {**moment, "description": "Until when it can be sent again; absent where it cannot."}
    page = describing.object_of(items={"type": "array", "items": describing.reference("FiledNotification")})
    suppressed = describing.object_of(items={"type": "array", "items": describing.reference("Suppression")})
    token = {**text, "description": "For the next page; absent at the end. There may be one after an empty page."}
    return {
        "FiledNotification": {**required, "properties": {**required["properties"], "textKeptUntil": kept}},
        "NotificationPage": {**page, "properties": {**page["properties"], "continue": token}},
        "SuppressionPage": {**suppressed, "properties": {**suppressed["properties"], "continue": token}},
        "Suppression": describing.object_of(organization=text, address=text, refusedAt=moment, until=moment),
        "ClearedAddresses": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "organization": {**text, "description": "By its name; absent for all of the namespace."},
                "addresses": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": asking.MOST_IDS,
                    "items": text,
                    "description": "Absent for all.",
                },
            },
        },
        "Resumed": {
            **describing.object_of(resumed={"type": "boolean"}),
            "properties": {
                "resumed": {"type": "boolean"},
                "backupOf": {"type": "string", "format": "date-time", "description": "Absent where nothing was held."},
            },
        },
        "Cleared": describing.object_of(cleared={"type": "integer"}),
        "NamedNotifications": describing.object_of(
            ids={"type": "array", "minItems": 1, "maxItems": asking.MOST_IDS, "items": text}
        ),
        "ActedOn": describing.object_of(results={"type": "array", "items": describing.reference("ActedOnResult")}),
        "ActedOnResult": {
            **describing.object_of(id=text, status={"type": "integer"}),
            "properties": {
                "id": text,
                "status": {"type": "integer", "description": "200 where it is done."},
                "problem": describing.reference("Problem"),
            },
        },
        "Released": {**released, "properties": {**released["properties"], **may_tell}},
    }


def _list() -> dict[str, Any]:
    known: dict[str, Any] = {
        "state": {"enum": [str(state) for state in vocabulary.RecipientState]},
        "limit": {"type": "integer", "minimum": 1, "maximum": asking.LARGEST_LIMIT, "default": asking.DEFAULT_LIMIT},
    }
    return {
        "operationId": "listNotifications",
        "summary": "List a namespace's notifications, the latest first.",
        "parameters": [
            {"name": name, "in": "query", "description": told, "schema": known.get(name, {"type": "string"})}
            for name, told in asking.PARAMETERS.items()
        ],
        "responses": {
            "200": {
                "description": "A page of the list.",
                "content": {"application/json": {"schema": describing.reference("NotificationPage")}},
            },
            **describing.answers(*_ALWAYS),
        },
    }


def _get() -> dict[str, Any]:
    return {
        "operationId": "getFiledNotification",
        "summary": "See where a notification of the namespace stands, whoever handed it over.",
        "responses": {
            "200": {
                "description": "As in a list.",
                "content": {"application/json": {"schema": describing.reference("FiledNotification")}},
            },
            **describing.answers(*_ALWAYS, problems.NOT_FOUND),
        },
    }


def _act(operation: str, summary: str, kinds: tuple[problems.ProblemKind, ...]) -> dict[str, Any]:
    told = ", ".join(f"{kind.status} {kind.slug}" for kind in (problems.NOT_FOUND, *kinds))
    schema = describing.reference("NamedNotifications")
    return {
        "operationId": operation,
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {
            "200": {
                "description": f"A result for each, in their order: 200, or a problem ({told}).",
                "content": {"application/json": {"schema": describing.reference("ActedOn")}},
            },
            **describing.answers(*_ALWAYS, problems.INVALID, problems.NOT_JSON, problems.TOO_SLOW),
        },
    }
