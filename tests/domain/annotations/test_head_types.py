"""The rules of head types at their edges."""

from itertools import product

import pytest

from app.domain.annotations.head_types import HEAD_TYPE_NAMES, HEAD_TYPES, Mark, classify, count_groups

UNCLEAR, OPEN = Mark.UNCLEAR, Mark.UNLABELLED


def labels(*counts):
    """labels(8, 2): eight features in one group and two in another."""
    return [name for name, n in zip("abcdefghij", counts, strict=False) for _ in range(n)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (labels(10), "monosemantic"),
        (labels(9, 1), "minor_exceptions"),
        (labels(8, 2), "minor_exceptions"),
        (labels(8, 1, 1), "minor_exceptions"),
        (labels(7, 3), "bisemantic"),
        (labels(5, 5), "bisemantic"),
        (labels(7, 2, 1), "polysemantic"),
        (labels(4, 3, 3), "polysemantic"),
        (labels(8) + [UNCLEAR] * 2, "minor_exceptions"),
        ([*labels(8, 1), UNCLEAR], "minor_exceptions"),
        (labels(7) + [UNCLEAR] * 3, "polysemantic"),
        # Unclear is an exception, not a group: two groups and one unclear are not "exactly two hold all".
        ([*labels(5, 4), UNCLEAR], "polysemantic"),
        (labels(6) + [UNCLEAR] * 4, "polysemantic"),
        (labels(5) + [UNCLEAR] * 5, "unclear"),
        ([UNCLEAR] * 10, "unclear"),
    ],
)
def test_ten_features(given, expected):
    found = classify(given)
    assert (found.head_type, found.provisional) == (expected, False)
    assert classify(given[::-1]).head_type == expected


@pytest.mark.parametrize(
    ("k", "counts", "expected"),
    [
        (5, (5,), "monosemantic"),
        (5, (4, 1), "minor_exceptions"),
        (5, (3, 2), "bisemantic"),
        (5, (3, 1, 1), "polysemantic"),
        (20, (20,), "monosemantic"),
        (20, (16, 4), "minor_exceptions"),
        (20, (16, 1, 1, 1, 1), "minor_exceptions"),
        (20, (15, 5), "bisemantic"),
        (20, (15, 4, 1), "polysemantic"),
    ],
)
def test_other_k(k, counts, expected):
    assert classify(labels(*counts), k).head_type == expected


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((7,), "monosemantic"),
        ((6, 1), "minor_exceptions"),  # 7 // 5 = 1 exception
        ((5, 2), "bisemantic"),
        ((5, 1, 1), "polysemantic"),
        ((3, 1), "bisemantic"),  # 4 // 5 = 0 exceptions
        ((1,), "monosemantic"),
    ],
)
def test_k_larger_than_the_live_features(counts, expected):
    found = classify(labels(*counts), 10)
    assert (found.head_type, found.n_features) == (expected, sum(counts))


def test_only_the_first_k_count():
    assert classify(labels(5, 15), 5).head_type == "monosemantic"
    assert classify(labels(5, 15), 10).head_type == "bisemantic"


def test_unlabelled_features_are_exceptions_and_make_the_type_provisional():
    found = classify([*labels(9), OPEN])
    assert (found.head_type, found.provisional, found.n_unlabelled) == ("minor_exceptions", True, 1)
    assert classify([*labels(7), OPEN, OPEN, OPEN]).head_type == "polysemantic"
    # Labels beyond the first k are not waited for.
    assert not classify([*labels(10), OPEN], 10).provisional


def test_nothing_labelled_has_no_type():
    for given in ([], [OPEN] * 10):
        assert classify(given).head_type is None
    assert not classify([]).provisional
    with pytest.raises(ValueError, match="k is 0"):
        classify(labels(3), 0)


def test_every_labelling_of_five_by_its_definition():
    for given in product("abc?", repeat=5):
        marks = [UNCLEAR if label == "?" else label for label in given]
        sizes = sorted((given.count(name) for name in "abc" if name in given), reverse=True)
        if given.count("?") >= 2.5:
            expected = "unclear"
        elif sizes[0] == 5:
            expected = "monosemantic"
        elif sizes[0] == 4:
            expected = "minor_exceptions"
        elif len(sizes) == 2 and sizes[0] + sizes[1] == 5:
            expected = "bisemantic"
        else:
            expected = "polysemantic"
        assert classify(marks, 5).head_type == expected, given


def test_groups_differ_by_more_than_case_hyphens_and_spaces():
    assert classify(["Long-prefix induction", "long prefix  induction"]).head_type == "monosemantic"
    assert count_groups(["b", "A", "a", "c", "C "]) == (("A", 2), ("c", 2), ("b", 1))


def test_every_type_has_a_name():
    assert tuple(HEAD_TYPE_NAMES) == HEAD_TYPES
