"""Files of text for tests, and the documents in them."""

from pathlib import Path

from app.adapters.text_sources import open_text_source


def documents_of(path: Path | str) -> list[str]:
    """Every document of the source that the path names."""
    return list(open_text_source(str(path)).documents())


def write(path: Path, content: bytes) -> Path:
    """The path, after writing the bytes to it in a new folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
