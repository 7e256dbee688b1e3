"""Responses of every JSON address other than its page, for /openapi.json: errors, redirects, no change."""

from typing import Any

from app.web.forms.downloads import MEDIA_TYPES

Schema = dict[str, Any]  # Any: parts of the OpenAPI document, which FastAPI types so
_TEXT: Schema = {"text/plain": {"schema": {"type": "string"}}}
_PROBLEM_TYPE = "application/problem+json"
PROBLEM: Schema = {
    "description": "Why there is no page, after RFC 9457",
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string", "description": "The name of the status"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "One sentence"},
    },
    "required": ["type", "title", "status", "detail"],
}
# (status, what it means, whether a guard before the routes may give it, in plain text)
_ERRORS = (
    (400, "The request is not valid, or was sent to another host name", True),
    (401, "The server has team mode, and the request has no login", False),
    (403, "The viewer may not see this, or another site sent the request", False),
    (404, "There is no such atlas, head, feature, experiment or page", False),
    (413, "The request is larger than the server reads", True),
    (422, "A parameter cannot be read; its name is told, never its value", False),
    (
        429,
        "One account, or all together, ask for as much at a time as they may; ask again after Retry-After",
        False,
    ),
    (500, "A mistake of the server, which is logged", False),
    (503, "The store or the server is busy; ask again after Retry-After", True),
)
_NOT_CHANGED: Schema = {"description": "The version named in If-None-Match is current"}
_TO_LOGIN: Schema = {"description": "Redirect to the login, in team mode"}
_MOVED: Schema = {"description": "Redirect to the canonical address"}


def describe_answers(schema: Schema) -> None:
    """Add the responses other than 200 to each operation of an OpenAPI schema."""
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):  # the framework's, which no answer has
        schemas.pop(name, None)
    schemas["Problem"] = PROBLEM
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            operation["responses"] |= _errors(is_json=path.endswith(".json"))
            operation["responses"] |= {"304": _NOT_CHANGED, "307": _MOVED, "308": _MOVED}
            if not path.endswith(".json"):
                operation["responses"]["303"] = _TO_LOGIN


def files_content(*formats: str) -> Schema:
    """The content of an answer that is a file in one of these formats."""
    return {MEDIA_TYPES[name].partition(";")[0]: {} for name in formats}


def _errors(is_json: bool) -> Schema:
    problem = {_PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    # Files are asked for by links: their errors are pages.
    own = problem if is_json else {"text/html": {"schema": {"type": "string"}}, **problem}
    return {
        str(status): {"description": words, "content": {**own, **(_TEXT if guarded else {})}}
        for status, words, guarded in _ERRORS
    }
