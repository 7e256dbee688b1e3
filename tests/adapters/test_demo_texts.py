"""The texts that ship: all kinds in every beginning, names, and an identity that follows them."""

from pathlib import Path

import pytest

from app.adapters.demo_texts import DEMO_TEXTS, FOLDER, DemoTexts, KindText
from app.adapters.text_sources import NamedDocuments, open_text_source
from app.errors import InvalidCorpus
from scripts.demo_texts import length_faults, shared_phrases, table, title_faults, training_faults

KINDS = {
    "article", "code", "dialogue", "essay", "instructions", "letter", "news", "poem", "question", "record", "story",
}  # fmt: skip


def write_kind(folder: Path, kind: str, texts: list[str]) -> None:
    parts = [f"%%% number {number}\n{text}\n" for number, text in enumerate(texts, start=1)]
    (folder / f"{kind}.txt").write_text("\n".join(parts), encoding="utf-8")


def test_a_text_comes_after_the_share_of_its_kind_that_is_before_it(tmp_path: Path) -> None:
    write_kind(tmp_path, "letter", ["aaaa", "bb", "cc"])  # begin at 0, 1/2 and 3/4
    write_kind(tmp_path, "code", ["d", "e", "f", "g", "h"])  # begin at 0, .2, .4, .6 and .8
    source = DemoTexts(tmp_path)
    assert list(source.documents()) == ["d", "aaaa", "e", "f", "bb", "g", "cc", "h"]
    names = ["code: number 1", "letter: number 1", "code: number 2", "code: number 3", "letter: number 2"]
    assert list(source.document_names())[:5] == names


def test_a_text_keeps_its_lines_and_what_only_looks_like_a_title(tmp_path: Path) -> None:
    text = "    x = 7 %%% 3\n\n\n%%%\n %%% y\n    z"
    write_kind(tmp_path, "code", [text, "é\n"])
    assert list(DemoTexts(tmp_path).documents()) == [text, "é"]


def test_the_identity_follows_texts_and_names(tmp_path: Path) -> None:
    write_kind(tmp_path, "letter", ["a", "b"])
    before = DemoTexts(tmp_path).identity()
    assert DemoTexts(tmp_path).identity() == before
    write_kind(tmp_path, "letter", ["a", "c"])
    assert DemoTexts(tmp_path).identity() != before
    write_kind(tmp_path, "letter", ["a", "b"])
    (tmp_path / "letter.txt").rename(tmp_path / "story.txt")
    assert DemoTexts(tmp_path).identity() != before


def test_an_installation_without_its_texts_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidCorpus, match="lacks the demo's texts"):
        list(DemoTexts(tmp_path).documents())


def test_the_shipped_texts_are_of_eleven_kinds_mixed_from_the_start() -> None:
    source = open_text_source(DEMO_TEXTS)
    assert isinstance(source, DemoTexts)
    assert isinstance(source, NamedDocuments)
    texts = source.mixed()
    assert list(source.document_names()) == [f"{each.kind}: {each.title}" for each in texts]
    assert list(source.documents()) == [each.text for each in texts]
    assert len({each.text for each in texts}) == len(texts)
    assert {each.kind for each in texts} == KINDS
    for kind in KINDS:
        lengths = [len(each.text) if each.kind == kind else 0 for each in texts]
        assert 0.4 < sum(lengths[: len(texts) // 2]) / sum(lengths) < 0.6


def test_the_shipped_texts_pass_the_checks_that_need_no_tokenizer() -> None:
    texts = DemoTexts().mixed()
    assert [*title_faults(texts), *shared_phrases(texts)] == []
    assert sum(path.stat().st_size for path in FOLDER.glob("*.txt")) <= 300_000
    assert all(path.read_text(encoding="utf-8").startswith("%%% ") for path in FOLDER.glob("*.txt"))


def test_the_checks_name_what_is_wrong() -> None:
    words = [
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
    ]
    whole, eight = KindText("news", "a", " ".join(words)), KindText("poem", "b", ", ".join(words[2:10]))
    code = KindText("code", "a", " ".join(words))
    assert list(title_faults([whole, eight, code])) == []
    assert list(title_faults([whole, whole])) == ["news: a: the title names two texts"]
    assert len(list(title_faults([KindText("poem", "a " * 9, "x"), KindText("poem", "a" * 51, "x")]))) == 2
    assert list(shared_phrases([code, whole, code])) == []
    assert list(shared_phrases([whole, eight])) == [f"poem: b: as news: a: {' '.join(words[2:10])}"]
    assert list(shared_phrases([whole, KindText("poem", "b", " ".join(words[2:9]))])) == []
    fault = f"code: a: as installed documentation: {' '.join(words)}"
    assert list(training_faults([eight, code], ["x " + "\n".join(words)])) == [fault]
    assert list(training_faults([eight, code], [" ".join(words[1:])])) == []
    assert list(length_faults([whole], lambda _: 40)) == []
    assert list(length_faults([whole], lambda _: 39)) == ["news: a: 39 tokens, outside 40 to 700"]
    counted = table([whole, eight, whole], lambda text: len(text.split()))
    assert counted.splitlines()[2:] == ["| news | 2 | 26 |", "| poem | 1 | 8 |", "| all | 3 | 34 |"]
