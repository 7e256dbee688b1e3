"""Stores that cannot be opened."""

import pytest

from app.errors import AppError
from app.store.database.engine import open_store


def refusal(target, **options):
    """The type and the sentence of the error that opening the store raises."""
    with pytest.raises(AppError) as caught:
        open_store(target, **options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert "Background on this error" not in sentence
    return caught.type, sentence
