"""Counting the queries of a request."""

import re

from sqlalchemy import Engine, event
from starlette.testclient import TestClient


def count_queries(engine: Engine, client: TestClient, path: str) -> int:
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if not re.match(r"(BEGIN|COMMIT|ROLLBACK|PRAGMA)", statement):
            seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    assert client.get(path).status_code == 200
    event.remove(engine, "before_cursor_execute", note)
    return len(seen)
