"""Scripts as browsers get them: without the lines that are comments."""

import re
from pathlib import Path

_COMMENT_LINES = re.compile(rb"^ *//.*\n", re.MULTILINE)


def is_own_script(path: Path) -> bool:
    """Whether the file is one of our scripts; what is vendored goes out as it came."""
    return path.suffix == ".js" and path.parent.name != "vendor"


def sent_content(path: Path) -> bytes:
    """The static file's content as it is sent."""
    content = path.read_bytes()
    return _COMMENT_LINES.sub(b"", content) if is_own_script(path) else content
