"""Errors as sentences: they begin with a capital, and names and paths keep their case."""

import pytest

from app.errors import InvalidStore


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("the store at /Users/Me/Atlas.sqlite is damaged", "The store at /Users/Me/Atlas.sqlite is damaged."),
        (
            "/Users/Me/Atlas.sqlite is damaged: SQLite says no",
            "/Users/Me/Atlas.sqlite is damaged: SQLite says no.",
        ),
        ("atlas.sqlite has no tables", "atlas.sqlite has no tables."),
        (
            "postgresql://Me@host/Atlas is of another version",
            "postgresql://Me@host/Atlas is of another version.",
        ),
        ("SQLite found no disk", "SQLite found no disk."),
        ("annotations is a folder, not a store file", "annotations is a folder, not a store file."),
        ("too many attempts to log in; try again in 9 s", "Too many attempts to log in; try again in 9 s."),
        ("The store has no such atlas.", "The store has no such atlas."),
    ],
)
def test_a_sentence_keeps_the_case_of_names(message: str, sentence: str) -> None:
    assert InvalidStore(message).sentence == sentence
