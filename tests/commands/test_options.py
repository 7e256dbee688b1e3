"""Options that are lists or shares: what they mean, and what is refused."""

import pytest

from app.commands.options import parse_layers, parse_share
from app.errors import AppError


@pytest.mark.parametrize(
    ("text", "layers"),
    [(None, None), ("5", (5,)), ("5,6", (5, 6)), ("7,5-6,5", (5, 6, 7)), (" 5 , 6", (5, 6))],
)
def test_layers_are_parsed(text: str | None, layers: tuple[int, ...] | None) -> None:
    assert parse_layers(text) == layers


@pytest.mark.parametrize("text", ["", "a", "5-", "-5", "6-5", "5,,6", "1.5"])
def test_layers_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(AppError, match="--layers"):
        parse_layers(text)


def test_shares_are_parsed() -> None:
    assert parse_share(None) is None
    assert parse_share("0/1") == (0, 1)
    assert parse_share("3/4") == (3, 4)


@pytest.mark.parametrize("text", ["", "1", "1/1", "-1/2", "a/b", "1/0", "0/0", "1/2/3"])
def test_shares_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(AppError, match="--shard"):
        parse_share(text)
