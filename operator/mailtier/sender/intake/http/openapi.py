"""The intake's description for tools: OpenAPI 3.1, made from the models that check the requests."""

from typing import Any, Final

from mailtier.api import names, notification, vocabulary
from mailtier.mail import classify
from mailtier.sender.intake.http import batch, describing, probing, problems
from mailtier.sender.intake.http.people import description

PATH: Final = "/openapi.json"
COLLECTION: Final = "/v1/namespaces/{namespace}/organizations/{organization}/notifications"
BATCH: Final = f"{COLLECTION}:batch"
ITEM: Final = f"{COLLECTION}/{{id}}"
PROBES: Final = "/v1/namespaces/{namespace}/organizations/{organization}/probes"
HOST_PROBES: Final = "/v1/host/probes"

_NOT_OF_NOTIFICATIONS: Final = (
    problems.METHOD_NOT_ALLOWED,
    problems.NOT_PROBEABLE,
    problems.PROBED_LATELY,
    problems.TOO_MANY_PROBES,
    problems.BATCH_TOO_LARGE,
    problems.NOT_RETRYABLE,
    problems.NOT_DROPPABLE,
    problems.UNDER_WAY,
)


def document(*, version: str) -> dict[str, Any]:
    """Return the OpenAPI document.

    Args:
        version: Of the program.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Mailtier intake",
            "version": version,
            "description": "Hand over a notification, and see what became of it.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            COLLECTION: {"parameters": describing.parameters("namespace", "organization"), "post": _post()},
            BATCH: {"parameters": describing.parameters("namespace", "organization"), "post": _batch()},
            ITEM: {"parameters": describing.parameters("namespace", "organization", "id"), "get": _get()},
            PROBES: {
                "parameters": describing.parameters("namespace", "organization"),
                "post": _probe("probeOrganization", "Probe the organization's endpoint over a new connection."),
            },
            **description.paths(),
            HOST_PROBES: {"post": _probe("probeHost", "Probe the host's own endpoint over a new connection.")},
        },
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "serviceAccount": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": f"A ServiceAccount token for the audience `{names.TOKEN_AUDIENCE}`.",
                }
            },
        },
        "security": [{"serviceAccount": []}],
    }


def _post() -> dict[str, Any]:
    return {
        "operationId": "createNotification",
        "summary": "Hand over a notification. It is durably queued when the answer is 202.",
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "Chosen by the caller, one for each notification: a request that is sent again with the"
                " same key and body is answered with the same id, and mails once.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": describing.reference("NotificationRequest")}},
        },
        "responses": {
            "202": {
                "description": "Durably queued.",
                "headers": {
                    "Location": {"description": "Where to look it up.", "schema": {"type": "string"}},
                    "Idempotency-Replayed": {
                        "description": "`true` where the same request was queued before.",
                        "schema": {"type": "string"},
                    },
                },
                "content": {"application/json": {"schema": describing.reference("Queued")}},
            },
            **describing.answers(*(kind for kind in problems.ALL if kind not in _NOT_OF_NOTIFICATIONS)),
        },
    }


def _batch() -> dict[str, Any]:
    kinds = (
        problems.MALFORMED,
        problems.NOT_AUTHENTICATED,
        problems.NOT_ALLOWED,
        problems.UNKNOWN_ORGANIZATION,
        problems.TOO_SLOW,
        problems.BATCH_TOO_LARGE,
        problems.NOT_JSON,
        problems.INVALID,
        problems.TOO_MANY_REFUSED,
        problems.BROKEN,
        problems.UNAVAILABLE,
        problems.QUEUE_AWAY,
    )
    return {
        "operationId": "createNotifications",
        "summary": "Hand over many notifications. Those whose result has the status 202 are durably queued.",
        "requestBody": {"required": True, "content": {"application/json": {"schema": describing.reference("Batch")}}},
        "responses": {
            "200": {
                "description": "A result for each notification, in their order.",
                "content": {"application/json": {"schema": describing.reference("BatchResults")}},
            },
            **describing.answers(*kinds),
        },
    }


def _get() -> dict[str, Any]:
    kinds = (
        problems.NOT_AUTHENTICATED,
        problems.NOT_ALLOWED,
        problems.NOT_FOUND,
        problems.UNAVAILABLE,
        problems.QUEUE_AWAY,
    )
    return {
        "operationId": "getNotification",
        "summary": "See where a notification's recipients stand.",
        "responses": {
            "200": {
                "description": "`accepted` means that the SMTP server took the message; bounces are not read.",
                "content": {"application/json": {"schema": describing.reference("Status")}},
            },
            **describing.answers(*kinds),
        },
    }


def _probe(operation: str, summary: str) -> dict[str, Any]:
    kinds = (
        problems.MALFORMED,
        problems.NOT_AUTHENTICATED,
        problems.NOT_ALLOWED,
        problems.UNKNOWN_ORGANIZATION,
        problems.NOT_PROBEABLE,
        problems.PROBED_LATELY,
        problems.TOO_MANY_PROBES,
        problems.UNAVAILABLE,
        problems.QUEUE_AWAY,
    )
    return {
        "operationId": operation,
        "summary": f"{summary} Nothing is sent to anybody.",
        "parameters": [
            {
                "name": probing.AGAIN,
                "in": "query",
                "description": "Whether a login that the server has refused is tried once more. Another refusal counts:"
                " a namespace has three an hour at a server. The host's login takes the host's own probe.",
                "schema": {"type": "boolean", "default": False},
            }
        ],
        "responses": {
            "200": {
                "description": "Lines of JSON: a `ProbeStage` for each stage as soon as it is over, and last a"
                " `ProbeResult`. The status is 200 whatever the probe finds.",
                "content": {
                    probing.MEDIA_TYPE: {
                        "schema": {"anyOf": [describing.reference("ProbeStage"), describing.reference("ProbeResult")]}
                    },
                },
            },
            **describing.answers(*kinds),
        },
    }


def _schemas() -> dict[str, Any]:
    models: dict[str, Any] = {}
    for model in (notification.NotificationRequest, notification.BatchedNotification):
        schema = model.model_json_schema(by_alias=True, ref_template=describing.TEMPLATE)
        models |= {**schema.pop("$defs", {}), model.__name__: schema}
    text = {"type": "string"}
    held = {
        **describing.object_of(reason=text, message=text),
        "description": "Why the organization's messages do not go at present; absent where they do.",
    }
    moment = {"type": "string", "format": "date-time"}
    return {
        **{name: _plain(schema) for name, schema in models.items()},
        "Queued": {
            **describing.object_of(id=text, status=text),
            "properties": {
                "id": text,
                "status": {"type": "string", "description": "Path to look it up at."},
                "held": held,
            },
        },
        "Batch": describing.object_of(
            notifications={
                "type": "array",
                "minItems": 1,
                "maxItems": batch.MAXIMUM_NOTIFICATIONS,
                "items": describing.reference("BatchedNotification"),
                "description": f"To {batch.MAXIMUM_RECIPIENTS} recipients in all, in {batch.MAXIMUM_BYTES} bytes.",
            }
        ),
        "BatchResults": {
            **describing.object_of(results={"type": "array", "items": describing.reference("BatchResult")}),
            "properties": {"results": {"type": "array", "items": describing.reference("BatchResult")}, "held": held},
        },
        "BatchResult": {
            **describing.object_of(status={"type": "integer"}),
            "properties": {
                "status": {"type": "integer", "description": "What a notification that comes alone is answered with."},
                "id": {"type": "string", "description": "Where the status is 202."},
                "replayed": {"type": "boolean", "description": "true where the same request was queued before."},
                "retryAfter": {"type": "integer", "description": "Seconds to wait, where waiting helps."},
                "problem": describing.reference("Problem"),
            },
        },
        "Status": description.status(),
        "RecipientStatus": _recipient(),
        "LastFailure": _last_failure(),
        **description.schemas(),
        "ProbeStage": describing.object_of(
            stage={"enum": [str(stage) for stage in vocabulary.ProbeStage]},
            ok={"type": "boolean"},
            message=text,
        ),
        "ProbeResult": {
            **describing.object_of(reason=text, ok={"type": "boolean"}, message=text),
            "properties": {
                "reason": {"type": "string", "description": "Of the condition Verified."},
                "ok": {"type": "boolean"},
                "message": text,
                "remedy": text,
                "certificateExpiresAt": moment,
                "probedAt": moment,
                "secretReadAt": moment,
                "secretVersion": {"type": "string", "description": "resourceVersion of the Secret that was tried."},
                "nextProbeAt": moment,
                "refusedLoginsLeft": {"type": "integer", "description": "Until the namespace's logins have to wait."},
            },
        },
        "Problem": {
            **describing.object_of(type=text, title=text, status={"type": "integer"}, detail=text),
            "properties": {
                "type": {"type": "string", "format": "uri"},
                "title": text,
                "status": {"type": "integer"},
                "detail": text,
                "errors": {"type": "array", "items": describing.object_of(pointer=text, detail=text)},
            },
        },
    }


def _recipient() -> dict[str, Any]:
    text = {"type": "string"}
    required = describing.object_of(
        address=text,
        state={"enum": [str(state) for state in vocabulary.RecipientState]},
        reason=text,
        message=text,
        attempts={"type": "integer"},
        changedAt={"type": "string", "format": "date-time"},
    )
    optional = {
        "nextAttemptAt": {
            "type": "string",
            "format": "date-time",
            "description": "Before which it is not tried again; absent where it does not wait for a time.",
        },
        "lastFailure": describing.reference("LastFailure"),
    }
    return {**required, "properties": {**required["properties"], **optional}}


def _last_failure() -> dict[str, Any]:
    required = describing.object_of(
        scope={"enum": [str(scope) for scope in classify.Scope], "description": "Whom it concerned."},
        phase={"enum": [str(phase) for phase in classify.Phase], "description": "The step that failed."},
    )
    codes = {
        "code": {"type": "integer", "description": "The reply's basic code; absent where there was no reply."},
        "enhanced": {"type": "string", "description": "The reply's enhanced code (RFC 3463); absent without one."},
    }
    return {
        **required,
        "description": "What the last attempt that failed met; absent where none did. It stays when a later one is"
        " accepted.",
        "properties": {**required["properties"], **codes},
    }


def _plain(schema: Any) -> Any:
    """Return a schema without what only the apiserver understands; the sentences of its rules stay, as comments.

    A field that is left out is null to Python alone: on the wire null is refused, so that it does not appear here.
    """
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _plain(value) for key, value in schema.items() if not key.startswith("x-kubernetes-")}
    plain = {key: value for key, value in plain.items() if (key, value) != ("default", None)}
    if alternatives := [entry for entry in plain.pop("anyOf", ()) if entry != {"type": "null"}]:
        (only,) = alternatives
        plain |= only
    if rules := schema.get("x-kubernetes-validations", ()):
        plain["$comment"] = "; ".join(rule["message"] for rule in rules)
    return plain
