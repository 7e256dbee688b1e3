"""Runs of words of installed documentation, which the SAEs that ship were trained on."""

from app.adapters.text_sources import INSTALLED_DOCS, PYTHON_DOCS, open_text_source
from scripts.demo_texts.choosing import N_WORDS, word_runs


def training_runs() -> frozenset[int]:
    """Hashes of all runs of N_WORDS words of the installed packages' docstrings and of pydoc's topics."""
    sources = [open_text_source(name) for name in (INSTALLED_DOCS, PYTHON_DOCS)]
    return frozenset(
        run for source in sources for text in source.documents() for run in word_runs(text, N_WORDS)
    )
