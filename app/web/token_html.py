"""Tokens as HTML. A page shows a thousand of them, so this is Python and not a macro; all text is escaped.

A token's text stays text: a leading space is a space, over which the style draws a dot, so copying a strip
gives the text back. Looks that stand for something else (control characters, stray bytes) are elements.
"""

from collections.abc import Callable, Sequence

from markupsafe import Markup, escape

from app.domain.tokens import TokenView
from app.services.page_parts import Cell, Strip
from app.web import charts, formats

TOKEN_STEPS = 6
NEGATIVE_STEPS = 4
FAINTEST = 0.02  # of the largest: what is less has no colour, or every token would have some
_CLASS_OF_PART = {"bytes": "hx", "marker": "hx mk", "control": "nl", "elision": "lg"}


def read_class(value: float | None, largest: float) -> str:
    """Colour class of a DFA value: blue adds, hatched red takes away."""
    if value is None or abs(value) < FAINTEST * largest:
        return ""
    if value < 0:
        step = charts.level(-value, largest, NEGATIVE_STEPS)
        return f"ng{step}" if step else ""
    step = charts.level(value, largest, TOKEN_STEPS)
    return f"rd{step}" if step else ""


def write_class(value: float | None, largest: float) -> str:
    """Colour class of an activation."""
    if value is None or value < FAINTEST * largest:
        return ""
    step = charts.level(value, largest, TOKEN_STEPS)
    return f"wr{step}" if step else ""


def token_text(view: TokenView) -> Markup:
    """The inside of a token: its text, with a look of its own for what is not text."""
    if view.kind == "special":
        return Markup('<b class="sp">{}</b>').format(view.parts[0].text)
    return Markup("").join(
        escape(part.text)
        if part.kind == "text"
        else Markup('<b class="{}">{}</b>').format(_CLASS_OF_PART[part.kind], part.text)
        for part in view.parts
    )


def space_class(view: TokenView) -> str:
    return " s" if view.text.startswith(" ") and view.kind == "text" else ""


def token_chip(view: TokenView) -> Markup:
    """A token in a list, as a bordered chip."""
    return Markup('<span class="tk{}" title="{}"><bdi>{}</bdi></span>').format(
        space_class(view), view.title, token_text(view)
    )


def _cell(cell: Cell, colour: str, peak: bool) -> str:
    view = cell.view
    plain = view.kind == "text" and len(view.parts) == 1 and view.parts[0].kind == "text"
    names = " ".join(
        name
        for name in (
            "s" if space_class(view) else "",
            "m" if cell.matched else "",
            "pk" if peak else "",
            colour,
        )
        if name
    )
    title = ""
    if peak or not plain:
        value = "" if cell.value is None else f", {formats.number(cell.value)}"
        title = f' title="{escape(view.title + value)}"'
    text = escape(view.parts[0].text) if plain else token_text(view)
    number = f' data-v="{formats.number(cell.value)}"' if colour else ""
    opening = f'<i class="{names}"{title}{number}>' if names else f"<i{title}>"
    return f"{opening}{text}</i>"


def _half(
    cells: Sequence[Cell],
    colour: Callable[[float | None, float], str],
    largest: float,
    peak: int | None = None,
) -> str:
    return "".join(_cell(cell, colour(cell.value, largest), at == peak) for at, cell in enumerate(cells))


def reads_html(strip: Strip, largest: float) -> Markup:
    """Where the head reads: the source token is the first after the hinge, or the last before it."""
    at_end = len(strip.before) - 1 if strip.source_before else None
    before = _half(strip.before, read_class, largest, peak=at_end)
    return _halves(before, _half(strip.after, read_class, largest, peak=None if strip.source_before else 0))


def fires_html(strip: Strip, largest: float) -> Markup:
    """Where the feature fires: the firing token is the last before the hinge."""
    before = _half(strip.before, write_class, largest, peak=len(strip.before) - 1)
    return _halves(before, _half(strip.after, write_class, largest))


def _halves(before: str, after: str) -> Markup:
    # Both halves are made above of escaped text and class names of this module only.
    return Markup(f'<span class="pre">{before}</span><span class="post">{after}</span>')  # noqa: S704
