"""A first run of one's own: what is not as asked for is said before the work, with what would be right."""

import re
from pathlib import Path

import pytest

from app.errors import AppError
from app.precompute.request import RunOptions
from tests.support.tiny_jobs import PublishedAtlas, Tiny, make_tiny, run


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return make_tiny(tmp_path)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    return captured.out + captured.err


def test_a_corpus_smaller_than_asked_is_named_before_the_first_unit(
    tiny: Tiny, capsys: pytest.CaptureFixture[str]
) -> None:
    store = str(tiny.root / "store.sqlite")
    run(tiny, store, n_prompts=5000)
    text = said(capsys)
    n = PublishedAtlas.open(store).run.record.n_sequences
    line = (
        f"corpus.txt has {n} sequences of 24 tokens, and --n-prompts asks for 5,000: the whole corpus is read"
    )
    assert text.index(line) < text.index("compute: ")


def test_a_corpus_as_large_as_asked_needs_no_word(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    run(tiny, str(tiny.root / "store.sqlite"))
    assert "--n-prompts" not in said(capsys)


def test_layers_without_an_sae_name_those_that_have_one(tiny: Tiny) -> None:
    store = tiny.root / "store.sqlite"
    with pytest.raises(
        AppError, match=re.escape("layer 5, for which no SAE was given; SAEs were given for --layers 0,1")
    ):
        run(tiny, str(store), layers=(1, 5))
    assert not store.exists()


def test_an_atlas_of_another_run_is_named_before_it_is_replaced(
    tiny: Tiny, capsys: pytest.CaptureFixture[str]
) -> None:
    store = str(tiny.root / "store.sqlite")
    run(tiny, store)
    old = PublishedAtlas.open(store).run.record.fingerprint
    said(capsys)
    run(tiny, store, RunOptions(new_run=True), k=2)
    text = said(capsys)
    new = PublishedAtlas.open(store).run.record.fingerprint
    line = f"atlas tiny shows run {old}; run {new} takes its place when it is done, and labels stay (another --name"
    assert text.index(line) < text.index("compute: ")
