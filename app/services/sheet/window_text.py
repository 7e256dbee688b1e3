"""A text window as one line of text."""

import re

from app.services.examples.models import TextWindow

_AFTER = 8  # tokens that are shown after the one that is marked


def window_text(window: TextWindow) -> str:
    """The window as one line, with single spaces; the token that it is about stands between angle marks."""
    if not window.before:
        return ""
    *before, token = [cell.view.visible_text for cell in window.before]
    after = [cell.view.visible_text for cell in window.after[:_AFTER]]
    return re.sub("  +", " ", f"{''.join(before)}«{token}»{''.join(after)}").strip()
