"""The texts that ship: all kinds in every beginning, names, and an identity that follows them."""

import json
from pathlib import Path

import pytest

from app.adapters.demo_texts import DEMO_TEXTS, FOLDER, DemoTexts
from app.adapters.text_sources import NamedDocuments, open_text_source
from app.errors import InvalidCorpus


def write_kind(folder: Path, kind: str, texts: list[str]) -> None:
    lines = [json.dumps({"about": "x", "text": text}) for text in texts]
    (folder / f"{kind}.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def test_a_text_comes_after_the_share_of_its_kind_that_is_before_it(tmp_path: Path) -> None:
    write_kind(tmp_path, "letter", ["aaaa", "bb", "cc"])  # begin at 0, 1/2 and 3/4
    write_kind(tmp_path, "code", ["d", "e", "f", "g", "h"])  # begin at 0, .2, .4, .6 and .8
    source = DemoTexts(tmp_path)
    assert list(source.documents()) == ["d", "aaaa", "e", "f", "bb", "g", "cc", "h"]
    assert list(source.document_names())[:5] == ["code 1", "letter 1", "code 2", "code 3", "letter 2"]


def test_the_identity_follows_texts_and_names(tmp_path: Path) -> None:
    write_kind(tmp_path, "letter", ["a", "b"])
    before = DemoTexts(tmp_path).identity()
    assert DemoTexts(tmp_path).identity() == before
    write_kind(tmp_path, "letter", ["a", "c"])
    assert DemoTexts(tmp_path).identity() != before
    write_kind(tmp_path, "letter", ["a", "b"])
    (tmp_path / "letter.jsonl").rename(tmp_path / "story.jsonl")
    assert DemoTexts(tmp_path).identity() != before


def test_an_installation_without_its_texts_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidCorpus, match="lacks the demo's texts"):
        list(DemoTexts(tmp_path).documents())


def test_the_shipped_texts_are_of_eight_kinds_mixed_from_the_start() -> None:
    source = open_text_source(DEMO_TEXTS)
    assert isinstance(source, DemoTexts)
    assert isinstance(source, NamedDocuments)
    names, texts = list(source.document_names()), list(source.documents())
    assert len(names) == len(texts) == len(set(names)) == len(set(texts))
    assert len({name.split()[0] for name in names}) == 8
    half = texts[: len(texts) // 2]
    whole_of, half_of = dict[str, int](), dict[str, int]()
    for number, (name, text) in enumerate(zip(names, texts, strict=True)):
        kind = name.split()[0]
        whole_of[kind] = whole_of.get(kind, 0) + len(text)
        half_of[kind] = half_of.get(kind, 0) + len(text) * (number < len(half))
    assert all(0.4 < half_of[kind] / n < 0.6 for kind, n in whole_of.items())


def test_the_shipped_texts_stay_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.glob("*.jsonl")) <= 300_000
