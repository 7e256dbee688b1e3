"""A checker for the part of JSON Schema that the published schemas use."""

import re
from typing import Any


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def check(value: Any, schema: dict[str, Any], schemas: dict[str, Any], at: str = "") -> list[str]:
    """Where the value differs from the schema: enough of JSON Schema for ours."""
    if "$ref" in schema:
        return check(value, schemas[schema["$ref"].rpartition("/")[2]], schemas, at)
    if "anyOf" in schema:
        tried = [check(value, part, schemas, at) for part in schema["anyOf"]]
        return [] if [] in tried else min(tried, key=len)
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{at}: {value!r}"]
    if schema["type"] == "array":
        return [
            wrong
            for i, item in enumerate(value)
            for wrong in check(item, schema["items"], schemas, f"{at}[{i}]")
        ]
    if schema["type"] == "object":
        if not isinstance(value, dict):
            return [f"{at}: {type(value).__name__} for an object"]
        if "additionalProperties" in schema:
            inner = schema["additionalProperties"]
            return [w for name, item in value.items() for w in check(item, inner, schemas, f"{at}.{name}")]
        if set(value) != set(schema["required"]):
            return [f"{at}: {set(value) ^ set(schema['required'])}"]
        parts = schema["properties"]
        return [w for name in value for w in check(value[name], parts[name], schemas, f"{at}.{name}")]
    if schema["type"] == "string" and not re.search(schema.get("pattern", ""), str(value)):
        return [f"{at}: {value!r} is not {schema['pattern']}"]
    kinds = {"string": str, "integer": int, "number": int | float, "boolean": bool, "null": type(None)}
    return [] if isinstance(value, kinds[schema["type"]]) else [f"{at}: {value!r} is no {schema['type']}"]
