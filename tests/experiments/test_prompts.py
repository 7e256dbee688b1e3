"""Prompts of the task families, of proxies in text, and of the user's own."""

from itertools import pairwise

import numpy as np
import pytest

from app.domain.experiments.errors import InvalidExperiment
from app.experiments import tasks
from app.experiments.prompts import MarkedText, encode_marked, given_prompts, parse_jsonl
from app.experiments.proxies import PREDICATES, by_induction, duplicates
from tests.support.hand_built_model import BOS, HandBuiltModel, hand_built_model

DIGITS = [str(digit) for digit in range(10)]


@pytest.fixture(scope="module")
def model() -> HandBuiltModel:
    return hand_built_model()


@pytest.fixture(scope="module")
def spelling_model() -> HandBuiltModel:
    """Its words: digits with and without a space, letters, and some whole words."""
    letters = list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    words = [
        *DIGITS,
        *(f" {digit}" for digit in DIGITS),
        *letters,
        " ",
        ",",
        ":",
        "/",
        ".",
        "https://t.co/",
        "co/x",
    ]
    return hand_built_model([*words, "room", " room", " cat", " then", " 77", "é"], n_ctx=48)


def test_noun_digit_prompts_mark_the_repeated_digit(spelling_model: HandBuiltModel) -> None:
    prompts = tasks.noun_digit(spelling_model, 20, 0, nouns=("room",), fillers=("then",))
    assert len(prompts) == 20
    digits = set()
    for row in range(20):
        words = [spelling_model.tokenizer.words[i] for i in prompts.tokens[row, : prompts.lengths[row]]]
        assert words[1:2] == ["room"]
        assert words[3:6] == [",", " then", " room"]
        assert words[2] == words[6] == words[-1]
        assert np.flatnonzero(prompts.targets[row]).tolist() == [6]
        digits.add(words[-1])
    assert len(digits) > 4


def test_short_urls_mark_the_tokens_of_the_id_and_refuse_those_that_cross_its_edge(
    spelling_model: HandBuiltModel,
) -> None:
    prompts = tasks.short_urls(spelling_model, 30, 0, id_length=5)
    assert len(prompts) + prompts.n_refused == 30
    words = [spelling_model.tokenizer.words[i] for i in prompts.tokens[0, : prompts.lengths[0]]]
    assert words[1] == "https://t.co/"
    assert np.flatnonzero(prompts.targets[0]).tolist() == list(range(2, len(words)))
    crossing = MarkedText.parse("co/[[xy]]")
    assert encode_marked(spelling_model, crossing)[1] == [[]]


def test_succession_asks_for_the_next_of_an_ordinal_sequence(spelling_model: HandBuiltModel) -> None:
    prompts = tasks.succession(spelling_model, 40, 1)
    assert prompts.n_refused > 0  # months and days are several tokens here
    for row in range(len(prompts)):
        words = [
            spelling_model.tokenizer.words[i].strip() for i in prompts.tokens[row, 1 : prompts.lengths[row]]
        ]
        shown = [word for word in words if word not in ("", ",")]
        assert prompts.targets[row].sum() == 1
        assert ord(shown[-1]) == ord(shown[-2]) + 1 == ord(shown[0]) + 3


def test_duplicate_prompts_repeat_every_token_and_no_pair(model: HandBuiltModel) -> None:
    prompts = tasks.duplicate_token(model, 50, 0, length=8)
    for row in prompts.tokens:
        first, second = row[1:9].tolist(), row[9:].tolist()
        assert sorted(first) == sorted(second)
        pairs = set(zip(first, [*first[1:], first[0]], strict=True))
        assert not pairs & set(pairwise(second))


def test_proxies_select_what_their_names_say(model: HandBuiltModel) -> None:
    vocabulary = model.tokenizer.vocabulary(model.record.d_vocab)
    #                  0  1  2  3  4  5  6  7  8  9 10
    row = np.array([[BOS, 5, 6, 7, 5, 6, 7, 9, 7, BOS, 5]])
    one, two = (by_induction(n)(row, vocabulary)[0] for n in (1, 2))
    assert np.flatnonzero(one).tolist() == [5, 6]
    assert np.flatnonzero(two).tolist() == [6]
    assert np.flatnonzero(duplicates(row, vocabulary)[0]).tolist() == [4, 8, 10]
    periodic = np.array([[BOS, 5, 5, 5, 5]])
    assert np.flatnonzero(by_induction(2)(periodic, vocabulary)[0]).tolist() == []


def test_text_proxies_find_targets_by_their_text(spelling_model: HandBuiltModel) -> None:
    vocabulary = spelling_model.tokenizer.vocabulary(spelling_model.record.d_vocab)
    texts = {"noun-digit": "room 7, then room 7.", "url": "é then https://t.co/ab, cat"}
    selected = {}
    for name, text in texts.items():
        ids = [BOS, *spelling_model.tokenizer.encode(text)]
        mask = PREDICATES[name](np.array([ids]), vocabulary)[0]
        selected[name] = [spelling_model.tokenizer.words[i] for i, hit in zip(ids, mask, strict=True) if hit]
        assert mask[: len(ids) // 2].sum() == 0
    assert selected == {"noun-digit": [" 7"], "url": ["a", "b"]}


def test_user_prompts_are_read_from_marks_or_spans(spelling_model: HandBuiltModel) -> None:
    lines = ['{"text": "room 7, then room[[ 7]]"}', "", '{"text": "a [[é]] b", "spans": [[2, 3]]}']
    with pytest.raises(InvalidExperiment, match="line 3"):
        parse_jsonl([*lines[:2], '{"text": "a b"}'])
    marked = parse_jsonl([lines[0], '{"text": "aéb", "spans": [[1, 2], [2, 3]]}'])
    prompts = given_prompts(spelling_model, marked)
    assert [np.flatnonzero(row).tolist() for row in prompts.targets] == [[6], [2, 3]]
    assert prompts.lengths.tolist() == [7, 4]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nonsense", "line 1"),
        ('["text"]', 'with a "text"'),
        ('{"text": 3}', 'with a "text"'),
        ('{"text": "no mark"}', "marks no target"),
        ('{"text": "ab", "spans": [[1, 3]]}', "do not lie in a text of 2"),
        ('{"text": "ab", "spans": []}', "do not lie"),
        ('{"text": "ab", "spans": 4}', "not pairs of whole numbers"),
        ('{"text": "ab", "spans": [[false, true]]}', "not pairs of whole numbers"),
        ('{"text": "ab", "spans": [["0", "1"]]}', "not pairs of whole numbers"),
        ('{"text": "ab", "spans": ["01"]}', "not pairs of whole numbers"),
        ('{"text": "ab", "spans": {"01": 0}}', "not pairs of whole numbers"),
        ('{"text": "ab", "spans": [[0, 1.9]]}', "not pairs of whole numbers"),
        ('{"text": "ab", "spans": [[0, 1, 2]]}', "not pairs of whole numbers"),
        ("", "there are no prompts"),
    ],
)
def test_prompts_that_cannot_be_read_are_refused(line: str, message: str) -> None:
    with pytest.raises(InvalidExperiment, match=message):
        parse_jsonl([line])


@pytest.mark.parametrize(("marked", "message"), [("[[room 7]]", "but 2 tokens"), ("roo[[m]]", "cut across")])
def test_a_target_that_is_not_one_token_is_refused(
    spelling_model: HandBuiltModel, marked: str, message: str
) -> None:
    with pytest.raises(InvalidExperiment, match=f"not one token of hand-built .*{message}"):
        given_prompts(spelling_model, [MarkedText.parse(marked)])


def test_prompts_longer_than_the_context_are_refused(spelling_model: HandBuiltModel) -> None:
    with pytest.raises(InvalidExperiment, match="longer than the 48"):
        given_prompts(spelling_model, [MarkedText.parse("a" * 60 + "[[b]]")])
    with pytest.raises(InvalidExperiment, match="longer than the 48"):
        tasks.induction(spelling_model, 3, 0, length=24)
