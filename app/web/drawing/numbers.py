"""Formatting of numbers in templates. A missing or non-finite number is an en dash."""

import math

MISSING = "\u2013"
MINUS = "\u2212"


def _signed(value: float, text: str) -> str:
    return MINUS + text if value < 0 and text.strip("0.,") else text


def number(value: float | None) -> str:
    """About three significant digits; values below one drop the leading zero, as in .48."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    size = abs(value)
    digits = 2 if size < 9.995 else 1 if size < 99.95 else 0
    text = f"{size:,.{digits}f}"
    return _signed(value, text[1:] if text.startswith("0.") else text)


def activation(value: float | None) -> str:
    """One decimal place, or two for values below one."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    return _signed(
        value, f"{abs(value):.1f}" if abs(value) >= 0.995 else f"{abs(value):.2f}".removeprefix("0")
    )


def percent(value: float | None) -> str:
    """A fraction as a percentage of two significant digits; a positive fraction is never printed as 0."""
    if value is None or not math.isfinite(value):
        return MISSING
    percentage = 100 * value
    if 0 < percentage < 0.01:
        return "<0.01%"
    return (
        f"{percentage:.0f}%"
        if percentage >= 9.95 or percentage == 0
        else f"{percentage:.1f}%"
        if percentage >= 0.995
        else f"{percentage:.2f}%"
    )


def count(value: float | None) -> str:
    """A whole number with thousands separators."""
    return MISSING if value is None else f"{value:,.0f}"


def scientific(value: float | None) -> str:
    """One significant digit with an exponent, for errors: 2e-6."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.0e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def ordinal(value: int) -> str:
    """An ordinal number: 1st, 2nd, 3rd, 11th."""
    suffix = "th" if value % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value:,}{suffix}"


def share_of(part: int, whole: int) -> str:
    """A share as a percentage; n/a if the whole is 0."""
    return percent(part / whole) if whole else "n/a"


def time_left(seconds: float) -> str:
    """A time to wait, as one says it: less than a minute, 12 minutes, 3 hours."""
    minutes = math.ceil(seconds / 60)
    if minutes <= 1:
        return "less than a minute"
    return f"{minutes} minutes" if minutes < 100 else f"{round(minutes / 60)} hours"


def duration(seconds: float) -> str:
    """About how long something takes, as one says it: a few seconds, about 40 seconds, about 12 minutes."""
    if seconds < 10:
        return "a few seconds"
    if seconds < 95:
        return f"about {10 * round(seconds / 10)} seconds"
    minutes = round(seconds / 60)
    return f"about {minutes} minutes" if minutes < 100 else f"about {round(seconds / 3600)} hours"
