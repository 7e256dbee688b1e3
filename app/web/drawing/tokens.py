"""Tokens as HTML. A page shows a thousand of them, so this is Python and not a macro; all text is escaped.

Copying a text window gives the original text back: a leading space stays a space, over which the stylesheet draws a
dot. Only what cannot be shown as text (control characters, stray bytes) becomes an element with other text.
To save bytes, elements stand for classes: in a text window a token is <i>, or <u> if it begins with a space, and
the two halves of a text window are <b> and <i>.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

from markupsafe import Markup, escape

from app.domain.tokens import TokenView
from app.services.examples.models import Cell, Pair, TextWindow, TokenLogit
from app.web.drawing import charts, numbers

_LOOKS_IN_MEMORY = 2**15  # tokens
TOKEN_STEPS = 6
NEGATIVE_STEPS = 4
LIGHTER_BEFORE, LIGHTER_AFTER = 15, 10  # characters
NEVER_CUT = 8  # characters that fit into the narrowest chip
CHIP_EDGES, CHARACTER_WIDTH = 13, 6.5  # pixels of a chip, with the gap to the next: never more than it takes
FAINTEST = 0.02  # of the largest: what is less has no colour, or every token would have some
# Of a control character it is the element alone.
_CLASS_OF_PART = {
    "bytes": ' class="hex-byte"',
    "marker": ' class="hex-byte marker"',
    "control": "",
    "elision": ' class="elision"',
}


def read_class(value: float | None, largest: float) -> str:
    """The colour class of a DFA value: blue for positive, hatched red for negative."""
    if value is None or abs(value) < FAINTEST * largest:
        return ""
    if value < 0:
        step = charts.level(-value, largest, NEGATIVE_STEPS)
        return f"negative-{step}" if step else ""
    step = charts.level(value, largest, TOKEN_STEPS)
    return f"read-{step}" if step else ""


def write_class(value: float | None, largest: float) -> str:
    """The colour class of an activation."""
    if value is None or value < FAINTEST * largest:
        return ""
    step = charts.level(value, largest, TOKEN_STEPS)
    return f"write-{step}" if step else ""


def token_text(view: TokenView) -> Markup:
    """The content of a token's element: its text, with elements for parts that are not text."""
    if view.kind == "special":
        return Markup('<b class="special">{}</b>').format(view.parts[0].text)
    return Markup("").join(
        escape(part.text)
        if part.kind == "text"
        else Markup("<b{}>{}</b>").format(Markup(_CLASS_OF_PART[part.kind]), part.text)  # noqa: S704
        for part in view.parts
    )


def space_class(view: TokenView) -> str:
    return " leading-space" if view.text.startswith(" ") and view.kind == "text" else ""


def token_chip(view: TokenView) -> Markup:
    """A token as a bordered chip, for lists.

    The stylesheet cuts long ones off, so the title has the whole token.
    """
    whole = _is_plain(view) and len(view.text) <= NEVER_CUT
    title = f"#{view.token_id}" if whole else view.title
    return Markup('<bdi class="token{}" title="{}">{}</bdi>').format(
        space_class(view), title, token_text(view)
    )


def token_chips(logits: Sequence[TokenLogit], width: float) -> Markup:
    """The first tokens of a list as chips, as many as fit into `width` pixels."""
    chips: list[Markup] = []
    for logit in logits:
        drawn = sum(len(part.text) for part in logit.view.parts)
        width -= CHIP_EDGES + CHARACTER_WIDTH * min(16, drawn)
        if width < 0 and chips:
            break
        chips.append(token_chip(logit.view))
    return Markup("").join(chips)


def _is_plain(view: TokenView) -> bool:
    return view.kind == "text" and [part.kind for part in view.parts] == ["text"]


def _shows_whole_token(view: TokenView) -> bool:
    """Whether the drawn text shows every byte of the token."""
    return view.kind == "text" and all(part.kind in ("text", "control") for part in view.parts)


@lru_cache(_LOOKS_IN_MEMORY)
def _look(view: TokenView) -> tuple[str, str, str]:
    """What is the same of a token in every text: its tag, its content, and a title if it does not show all of it."""
    text = escape(view.parts[0].text) if _is_plain(view) else token_text(view)
    title = "" if _shows_whole_token(view) else f' title="{escape(view.title)}"'
    return "u" if space_class(view) else "i", str(text), title


def _cell(cell: Cell, colour: str, peak: bool, grey: bool = False) -> str:
    tag, text, title = _look(cell.view)
    names = [name for name in ("matched" if cell.matched else "", "peak" if peak else "") if name]
    if colour and not grey:
        names.append(colour)
    if cell.value is not None and (peak or title):
        title = _valued_title(cell.view, cell.value)
    elif peak and not title:
        title = f' title="#{cell.view.token_id}"'
    number = f' data-v="{numbers.number(cell.value)}"' if colour else ""
    kind = f' class="{" ".join(names)}"' if names else ""
    return f"<{tag}{kind}{title}{number}>{text}</{tag}>"


def _valued_title(view: TokenView, value: float) -> str:
    name = f"#{view.token_id}" if _shows_whole_token(view) else view.title
    return f' title="{escape(f"{name}, {numbers.number(value)}")}"'


def _half(
    cells: Sequence[Cell],
    colour: Callable[[float | None, float], str],
    largest: float,
    peak: int | None = None,
    grey: bool = False,
) -> str:
    return "".join(
        _cell(cell, colour(cell.value, largest), at == peak, grey) for at, cell in enumerate(cells)
    )


def lighter(pair: Pair) -> Pair:
    """The pair with less text around its anchors, to save bytes on pages of more than ten features."""
    return replace(pair, reads=_nearest(pair.reads), fires=_nearest(pair.fires))


def _nearest(window: TextWindow) -> TextWindow:
    before = _first(window.before[::-1], LIGHTER_BEFORE)[::-1]
    return replace(window, before=before, after=_first(window.after, LIGHTER_AFTER))


def _first(cells: tuple[Cell, ...], room: int) -> tuple[Cell, ...]:
    """The first cells, up to and including the one that reaches `room` characters."""
    n = 0
    while n < len(cells) and room > 0:
        room -= sum(len(part.text) for part in cells[n].view.parts)
        n += 1
    return cells[:n]


def reads_html(window: TextWindow, largest: float) -> Markup:
    """The text that the head reads: the source token is the first after the anchor, or the last before it."""
    at_end = len(window.before) - 1 if window.source_before else None
    before = _half(window.before, read_class, largest, peak=at_end)
    return _halves(before, _half(window.after, read_class, largest, peak=None if window.source_before else 0))


def fires_html(window: TextWindow, largest: float, grey_after: bool = False) -> Markup:
    """The text where the feature fires: the firing token is the last before the anchor.

    grey_after: whether the tokens after it are drawn without colours.
    """
    before = _half(window.before, write_class, largest, peak=len(window.before) - 1)
    return _halves(before, _half(window.after, write_class, largest, grey=grey_after))


def _halves(before: str, after: str) -> Markup:
    # Both halves are made above of escaped text and class names of this module only.
    return Markup(f"<b>{before}</b><i>{after}</i>")  # noqa: S704
