"""A job over several data sets: whose text an example is, what is another run, and what is refused."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

import app.cli
from app.adapters.corpora import open_corpus
from app.adapters.text_sources import open_text_source
from app.domain.refs import FeatureRef, HeadRef
from app.errors import AppError
from app.precompute.prepare import prepare
from app.precompute.request import RunOptions
from app.services.features.page import feature_page
from app.services.heads.attention import AttentionQuestion, attention_page
from app.services.reading.context import AtlasContext
from app.store.atlas.additions import additions_of
from app.store.atlas.reads import get_texts
from app.store.database.engine import read_session, write_session
from app.store.tables.atlas import RunRow, SequenceRow
from tests.support.tiny_jobs import PublishedAtlas, Tiny, make_tiny, run, tiny_model, write_text


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Two data sets: a JSON lines file of short documents, and a folder of files."""
    made = make_tiny(tmp_path_factory.mktemp("sets"))
    lines = write_text(made.root / "lines.txt", 30).read_text().splitlines()
    (made.root / "short.jsonl").write_text("".join(f'{{"text": "{line.split(";")[0]}"}}\n' for line in lines))
    (made.root / "pages").mkdir()
    for number in range(4):
        write_text(made.root / "pages" / f"page{number}.txt", 3 + number)
    return made


def data_sets(tiny: Tiny) -> tuple[str, str]:
    return str(tiny.root / "short.jsonl"), str(tiny.root / "pages")


def holds(texts: list[int], part: list[int]) -> bool:
    return any(texts[at : at + len(part)] == part for at in range(len(texts) - len(part) + 1))


def test_the_document_that_an_example_names_holds_its_tokens(tiny: Tiny) -> None:
    """A slow loop over the pages of all features and heads."""
    store = str(tiny.root / "store.sqlite")
    run(tiny, store, dataset=data_sets(tiny), n_prompts=12)
    published = PublishedAtlas.open(store)
    assert published.run.record.corpus == "short.jsonl, pages"
    assert published.run.record.datasets == ("short.jsonl", "pages")
    tokenizer = tiny_model(tiny.model).tokenizer
    ends = {tokenizer.separator_token_id, tokenizer.bos_token_id}
    sources = {
        name: open_text_source(path)
        for name, path in zip(("short.jsonl", "pages"), data_sets(tiny), strict=True)
    }
    texts = {
        name: [tokenizer.encode(text) for text in source.documents()] for name, source in sources.items()
    }
    names = {"short.jsonl": None, "pages": [f"page{number}.txt" for number in range(4)]}
    seen: set[str] = set()
    with read_session(published.engine) as session:
        context = AtlasContext(session, published.run)
        pairs = [
            pair
            for layer in published.layers
            for record in published.features(layer)
            for part in feature_page(context, FeatureRef(layer, record.ref.index), "all").groups
            for pair in part.pairs
        ]
        attention = [
            pair
            for head in range(published.run.record.model.n_heads)
            for pair in attention_page(context, AttentionQuestion(HeadRef(0, head))).evidence.pairs
        ]
    assert len(pairs) > 50
    assert attention
    for document, cells in [(pair.document, pair.fires.before) for pair in pairs] + [
        (pair.document, pair.attends.before) for pair in attention
    ]:
        assert document is not None
        tokens = [*texts[document.dataset][document.number - 1], tokenizer.separator_token_id]
        assert document.name == (names[document.dataset] and names[document.dataset][document.number - 1])
        shown = [cell.token_id for cell in cells]
        start = max((at + 1 for at, token in enumerate(shown[:-1]) if token in ends), default=0)
        assert holds(tokens, shown[start:])  # from the document's start, or the window's
        seen.add(document.label)
    assert {label.split()[0] for label in seen} == {"short", "pages"}
    assert len(seen) > 6


def test_every_sequence_is_spelled_by_its_documents(tiny: Tiny) -> None:
    """The whole corpus, token by token: each stretch that a document is said to have is a stretch of that document."""
    spec, _ = prepare(tiny.request(dataset=data_sets(tiny), n_prompts=None))
    corpus = open_corpus(spec.corpus_folder)
    assert corpus is not None
    tokenizer = tiny_model(tiny.model).tokenizer
    texts = [
        [tokenizer.encode(text) for text in open_text_source(path).documents()] for path in data_sets(tiny)
    ]
    n_stretches = 0
    for row, length, starts in zip(
        corpus.tokens.tolist(), corpus.lengths.tolist(), corpus.documents(), strict=True
    ):
        ends = [*(start.position for start in starts[1:]), length]
        for start, end in zip(starts, ends, strict=True):
            stretch = row[start.position : end]
            whole = [*texts[start.dataset][start.number - 1], tokenizer.separator_token_id]
            assert holds(whole, stretch)
            n_stretches += 1
    assert n_stretches > corpus.n_sequences


def test_the_same_data_sets_in_another_order_are_another_run(tiny: Tiny) -> None:
    first, second = data_sets(tiny)
    plans = [
        prepare(tiny.request(dataset=sets))[0].plan for sets in ((first, second), (second, first), (first,))
    ]
    assert len({plan.fingerprint for plan in plans}) == 3
    assert len({plan.corpus_checksum for plan in plans}) == 3
    path = tiny.root / "plan.json"
    plans[0].save(path)
    with pytest.raises(AppError, match=r'--dataset: "short\.jsonl", "pages" -> "pages", "short\.jsonl"'):
        plans[1].require_same(path)
    same_text = replace(plans[0], threads=2)
    with pytest.raises(AppError, match=r"other options \(--threads: 1 -> 2\)"):
        same_text.require_same(path)


def test_a_text_that_is_named_twice_is_refused(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    first, _ = data_sets(tiny)
    copy = tiny.root / "copy.jsonl"
    copy.write_bytes(Path(first).read_bytes())
    message = "--dataset names the same text twice: short.jsonl and copy.jsonl"
    with pytest.raises(AppError, match=f"^{message}$"):
        prepare(tiny.request(dataset=(first, str(copy))))
    words = tiny.arguments(str(tiny.root / "other.sqlite"), "--dataset", str(tiny.text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["head-atlas", *words])
        with pytest.raises(SystemExit) as ended:
            app.cli.main()
    assert ended.value.code
    assert "--dataset names the same text twice: corpus.txt and corpus.txt" in capsys.readouterr().err


def test_a_store_from_before_documents_were_kept_shows_none(tiny: Tiny) -> None:
    store = str(tiny.root / "older.sqlite")
    run(tiny, store, RunOptions(new_run=True), dataset=data_sets(tiny)[:1])
    published = PublishedAtlas.open(store)
    with write_session(published.engine) as session:
        assert additions_of(session, session.get_one(RunRow, published.run.id)) == ()
        session.execute(update(SequenceRow).values(documents=None))
        added = additions_of(session, session.get_one(RunRow, published.run.id))
        assert added == ("the document that each example is from",)
    with read_session(published.engine) as session:
        text = get_texts(session, published.run, [0])[0]
        assert text.document_at(5) is None
        context = AtlasContext(session, published.run)
        record = published.features(0)[0]
        page = feature_page(context, record.ref, "all")
    assert {pair.document for part in page.groups for pair in part.pairs} == {None}
