"""What a reader of a page gets from its HTML: text, addresses and controls, whatever the classes are called."""

import hashlib
import re
from html.parser import HTMLParser

_HIDDEN = frozenset(("script", "style"))
_INLINE = frozenset((
    "a", "abbr", "b", "bdi", "bdo", "button", "cite", "code", "data", "del", "dfn", "em", "i", "ins",
    "kbd", "label", "mark", "meter", "output", "progress", "q", "s", "samp", "small", "span", "strong",
    "sub", "sup", "time", "tspan", "u", "var", "wbr",
))  # fmt: skip
# The address or the state of an element, which no change of style alters.
_SHOWN = (
    "href", "action", "method", "type", "name", "value", "checked", "selected", "disabled", "readonly",
    "required", "min", "max", "step", "maxlength", "pattern", "placeholder", "title", "alt", "aria-label",
    "aria-pressed", "aria-current", "aria-sort", "aria-expanded", "open", "hidden", "colspan", "rowspan",
    "scope", "lang", "content", "download", "hx-get", "hx-post", "datetime",
)  # fmt: skip
_GEOMETRY = frozenset((
    "d", "x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "rx", "ry", "dx", "dy", "width", "height",
    "points", "transform", "viewbox",
))  # fmt: skip
_ASSET = re.compile(r"^/static/|^data:|\.(css|js|svg|png|ico|woff2?)(\?|$)")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[str] = []
        self._line: list[str] = []
        self._hidden = 0
        self._svg: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self._hidden += 1
        if tag not in _INLINE:
            self.end_line()
        if tag == "svg":
            self._svg = []
        if self._svg is not None:
            shapes = [f"{name}={value}" for name, value in attrs if name in _GEOMETRY]
            self._svg.append(f"{tag} {' '.join(shapes)}")
        shown = dict(attrs)
        words = [
            name if not shown[name] else f"{name}={shown[name]}"
            for name in _SHOWN
            if name in shown and not _ASSET.search(shown[name] or "")
        ]
        if words and tag != "link":
            self._line.append(f" [{tag} {' '.join(words)}] ")

    def handle_endtag(self, tag: str) -> None:
        if tag in _HIDDEN:
            self._hidden -= 1
        if tag == "svg" and self._svg is not None:
            digest = hashlib.sha256("\n".join(self._svg).encode()).hexdigest()[:12]
            self._line.append(f" [drawing of {len(self._svg)} elements {digest}] ")
            self._svg = None
        if tag not in _INLINE:
            self.end_line()

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._line.append(data)

    def end_line(self) -> None:
        text = " ".join("".join(self._line).split())
        if text:
            self.lines.append(text)
        self._line = []


def visible_text(html: str) -> str:
    """A line for each block of text; in brackets what an element leads to, asks for or draws."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    reader.end_line()
    return "\n".join(reader.lines) + "\n"
