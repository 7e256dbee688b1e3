"""Pages as trees, with the white space that a browser drops left out."""

import re

from bs4 import BeautifulSoup, NavigableString, SoupStrainer, Tag

# White space is text in these: fields, and what the stylesheets show as it was typed.
_AS_TYPED = ("pre", "textarea", "script", "style")
_AS_TYPED_CLASS = "free-text"
HTMX = {"HX-Request": "true"}
# An element of these begins and ends a line, so that white space beside it is not seen.
_BLOCKS = {
    *(
        "article",
        "aside",
        "details",
        "div",
        "figure",
        "figcaption",
        "footer",
        "form",
        "header",
        "main",
        "nav",
        "section",
    ),
    *("br", "h1", "h2", "h3", "h4", "legend", "fieldset", "option", "p", "summary"),
    *("dd", "dl", "dt", "li", "ol", "ul"),
    *("caption", "table", "tbody", "td", "th", "thead", "tr"),
}


def soup(text: str, parts: SoupStrainer | None = None) -> BeautifulSoup:
    """The tree of a page or a part of one. parts: the outermost elements to keep, which is faster than the whole.

    Lines of templates break where a browser shows a space or nothing: a break is a space here, and nothing beside a
    block or at an end of an element.
    """
    tree = BeautifulSoup(text, "html.parser", parse_only=parts)
    for string in [*tree.find_all(string=re.compile("\n"))]:
        if type(string) is NavigableString and not _is_as_typed(string):
            string.replace_with(NavigableString(_as_seen(string)))
    return tree


def only(tags: list[Tag]) -> Tag:
    """The one tag of the list. Fails if there is none or another."""
    assert len(tags) == 1
    return tags[0]


def _is_as_typed(string: NavigableString) -> bool:
    return any(
        parent.name in _AS_TYPED or _AS_TYPED_CLASS in (parent.get("class") or ())
        for parent in string.parents
    )


def _as_seen(string: NavigableString) -> str:
    text = re.sub(r"[ \t]*\n[ \t\n]*", " ", string)
    if _is_edge(string.previous_sibling):
        text = text.lstrip(" ")
    return text.rstrip(" ") if _is_edge(string.next_sibling) else text


def _is_edge(neighbour: object) -> bool:
    return neighbour is None or (isinstance(neighbour, Tag) and neighbour.name in _BLOCKS)
