"""The query language: what is read out of a query, and one sentence on every way to get it wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.refs import FeatureRef, HeadRef
from app.services.reading.layer_ranges import InvalidQuery
from app.services.search.query import LabelTerm as Label
from app.services.search.query import ScoreComparison, SearchQuery, TokenTerm, parse_query

SCORES = ("induction", "previous_token", "entropy")


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("", SearchQuery()),
        ('promotes:" of"', SearchQuery(tokens=(TokenTerm(" of", True, 1),))),
        ("suppresses:of", SearchQuery(tokens=(TokenTerm("of", False, -1),))),
        (r'promotes:"\n"', SearchQuery(tokens=(TokenTerm("\n", True, 1),))),
        (r'promotes:"a\"b\\"', SearchQuery(tokens=(TokenTerm('a"b\\', True, 1),))),
        ("PROMOTES:x", SearchQuery(tokens=(TokenTerm("x", False, 1),))),
        ("promotes:a:b", SearchQuery(tokens=(TokenTerm("a:b", False, 1),))),
        ("The  class, the", SearchQuery(words=("the", "class"))),
        ('"two words" text:three', SearchQuery(words=("two", "words", "three"))),
        ("evidence:induction>=0.8", SearchQuery(evidence=(ScoreComparison("induction", ">=", 0.8),))),
        ("evidence:previous", SearchQuery(evidence=(ScoreComparison("previous_token", ">=", 0.5),))),
        ("evidence:same-token>.3", SearchQuery(evidence=(ScoreComparison("same_token", ">", 0.3),))),
        (
            "score:entropy<2 layer:1",
            SearchQuery(scores=(ScoreComparison("entropy", "<", 2),), layers=frozenset({1})),
        ),
        (
            "role:Induction role:LP",
            SearchQuery(labels=(Label("role", "induction"), Label("role", "long-prefix induction"))),
        ),
        ('role:"prev token"', SearchQuery(labels=(Label("role", "previous token"),))),
        ("role:previous_token", SearchQuery(labels=(Label("role", "previous token"),))),
        ("type:mono", SearchQuery(labels=(Label("type", "monosemantic"),))),
        ("type:minor-exceptions", SearchQuery(labels=(Label("type", "minor_exceptions"),))),
        ("status:open by:Ada", SearchQuery(labels=(Label("status", "open"), Label("by", "ada")))),
        ('group:"After Commas"', SearchQuery(labels=(Label("group", "after commas"),))),
        ("layer:5-7", SearchQuery(layers=frozenset({5, 6, 7}))),
        ("layer:1,5-6", SearchQuery(layers=frozenset({1, 5, 6}))),
        ("layer:1-5 layer:4-9", SearchQuery(layers=frozenset({4, 5}))),
        ("L5H1 5.2 l5h1", SearchQuery(heads=(HeadRef(5, 1), HeadRef(5, 2)))),
        ("L5F35744", SearchQuery(features=(FeatureRef(5, 35744),))),
    ],
)
def test_what_is_read(text: str, query: SearchQuery) -> None:
    assert parse_query(text, SCORES) == query


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('promotes:" of', "A quotation mark is not closed"),
        ("promotes:", "promotes: needs something after the colon"),
        ('promotes:""', "promotes: needs a token"),
        ("promote:of", "Did you mean promotes:"),
        (
            "colour:blue",
            "It knows promotes, suppresses, text, evidence, score, attends, attends_from, layer, role, type, group, "
            "status, by.",
        ),
        ("role:inducton", "There is no role inducton. Did you mean induction?"),
        ("role:zzz", "There are induction, long-prefix induction"),
        ("role:", "role: needs something after the colon"),
        ('by:"  "', "by: needs something after the colon"),
        ("type:triple", "There is no type of head triple."),
        ("status:done", "There is no status done."),
        ("L5F3 role:induction", "L5F3 is a single feature"),
        ("evidence:inducton>=0.8", "There is no evidence inducton. Did you mean induction?"),
        ("evidence:induction<0.8", "compare it by > or >="),
        ("evidence:induction>=80", "with a number up to 1"),
        ("evidence:induction>=0", "compare it by > or >="),
        ("score:induction", "score:induction needs a comparison, such as score:induction>0.3."),
        ("score:speed>1", "There is no score speed. There are induction, previous_token, entropy."),
        ("score:induction>>1", "is not a comparison such as"),
        ("layer:7-5", "is not a list of layers such as layer:5-7"),
        ("layer:x", "is not a list of layers"),
        ("?!", "has no word of two or more letters"),
        ('a"b"', "This part cannot be read"),
        ("L5F3 class", "L5F3 is a single feature"),
        ("aa bb cc dd ee ff gg hh ii", "at most 8 terms"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InvalidQuery) as error:
        parse_query(text, SCORES)
    assert sentence in str(error.value)
    assert str(error.value).endswith((".", "?"))


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        query = parse_query(text, SCORES)
    except InvalidQuery:
        return
    assert query.is_empty == (not text.strip())


@pytest.mark.parametrize(("sign", "below", "at", "above"), [
    (">", False, False, True), (">=", False, True, True), ("<", True, False, False),
    ("<=", True, True, False), ("=", False, True, False),
])  # fmt: skip
def test_comparisons(sign: str, below: bool, at: bool, above: bool) -> None:
    term = ScoreComparison("entropy", sign, 0.5)
    assert [term.holds(value) for value in (0.4, 0.5, 0.6)] == [below, at, above]
    assert not term.holds(float("nan"))
