"""Counting the queries of a request."""

import re
from collections.abc import Generator
from contextlib import contextmanager

from fastapi import FastAPI
from sqlalchemy import Engine, event
from starlette.testclient import TestClient

from app.web.page_cache import PageCache


@contextmanager
def counted(engine: Engine) -> Generator[list[str]]:
    """The statements that the block sends to the store."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if not re.match(r"(BEGIN|COMMIT|ROLLBACK|PRAGMA)", statement):
            seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


def count_queries(engine: Engine, client: TestClient, path: str) -> int:
    """The queries of a page that is not in memory yet."""
    app = client.app
    assert isinstance(app, FastAPI)
    app.state.app_context.pages = PageCache()
    with counted(engine) as seen:
        assert client.get(path).status_code == 200
    return len(seen)


async def no_version() -> None:
    """In place of a server's `version`: the store does not say whether it has changed."""
