"""What the server sends over the line: bodies as they are compressed, and their sizes."""

from starlette.testclient import TestClient

MAX_HTML, MAX_STYLES, MAX_SCRIPTS = 20_000, 30_000, 30_000  # bytes, compressed, of an atlas or head page


def sent_bytes(client: TestClient, path: str) -> bytes:
    """The body of a page or file as a browser receives it: compressed, unless it is tiny."""
    with client.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as response:
        assert response.status_code == 200, path
        return b"".join(response.iter_raw())
