"""Novelty, tallies, sensitivity and the layer table, against counts made by hand."""

import pytest

from app.domain.annotations.layer_table import layer_table
from app.domain.annotations.novelty import novel_groups
from app.domain.annotations.records import FeatureLabel, Group, HeadAnnotation
from app.domain.annotations.tallies import LeftOut, left_out, sensitivity, tally_heads, type_under
from app.domain.refs import FeatureRef, HeadRef


def annotated(layer, *groups, **fields):
    """annotated(5, "a", "a", "?", None): one label per feature."""
    labels = [
        FeatureLabel(FeatureRef(layer, i), None if name in (None, "?") else name, name == "?")
        for i, name in enumerate(groups)
    ]
    named = fields.pop("named", None) or tuple(
        Group(name, "IN") for name in dict.fromkeys(groups) if name not in (None, "?")
    )
    return HeadAnnotation(groups=tuple(named), labels=tuple(labels), **fields)


def test_a_head_is_left_out_by_the_tally_or_counted_in_it():
    heads = {
        HeadRef(1, 0): annotated(1, "a", "a", None),
        HeadRef(0, 1): annotated(0, None, None),
        HeadRef(0, 0): annotated(0, "a", "?"),
        HeadRef(2, 0): annotated(2),
        HeadRef(2, 1): annotated(2, "a", None, override="polysemantic", override_reason="read"),
    }
    out = left_out(heads)
    assert out == (
        LeftOut(HeadRef(0, 1), 2, 2),
        LeftOut(HeadRef(1, 0), 1, 3),
        LeftOut(HeadRef(2, 0), 0, 0),
    )
    tally = tally_heads(heads.values())
    assert tally.total + len(out) == len(heads)
    assert tally.n_provisional + tally.n_untyped == len(out)


def test_novelty_reads_layers_upwards_and_heads_in_order():
    groups = {
        HeadRef(1, 0): ["Induction", "names"],
        HeadRef(0, 10): ["of", "induction"],
        HeadRef(0, 2): ["of"],
        HeadRef(1, 1): ["NAMES", "of"],
        HeadRef(2, 0): [],
    }
    assert novel_groups(groups) == {
        HeadRef(0, 2): ("of",),
        HeadRef(0, 10): ("induction",),
        HeadRef(1, 0): ("names",),
    }


def test_a_group_twice_in_one_head_is_new_once():
    assert novel_groups({HeadRef(0, 0): ["a", "A ", "b"]}) == {HeadRef(0, 0): ("a", "b")}


def test_fractions_are_computed():
    heads = [annotated(0, *"a" * 10)] * 14 + [annotated(0, *"a" * 9, "b")] * 8
    heads += [annotated(0, *"a" * 5, *"b" * 5)] * 4 + [annotated(0, *"abcdefghij")] * 118
    tally = tally_heads(heads)
    assert tally.total == 144
    assert tally["monosemantic"].count == 14
    assert tally["minor_exceptions"].fraction == pytest.approx(0.0556, abs=5e-5)  # not 5.5%
    assert tally["bisemantic"].fraction == pytest.approx(4 / 144)
    assert sum(row.fraction for row in tally.rows) == pytest.approx(1)


def test_provisional_and_untyped_heads_are_not_counted_as_types():
    tally = tally_heads([annotated(0, "a", None), annotated(0, None), annotated(0, "a"), HeadAnnotation()])
    assert (tally.total, tally.n_provisional, tally.n_untyped) == (1, 1, 2)
    assert tally["monosemantic"].fraction == 1


def test_an_override_counts_and_is_never_provisional():
    given = annotated(0, "a", None, override="polysemantic", override_reason="unrelated contexts")
    assert (given.head_type, given.provisional) == ("polysemantic", False)
    assert given.computed.head_type == "polysemantic" or given.computed.provisional
    assert tally_heads([given])["polysemantic"].count == 1


def test_an_empty_tally_has_no_division_by_zero():
    assert [row.fraction for row in tally_heads([]).rows] == [0.0] * 5


def test_the_type_under_another_ranking_and_k():
    given = annotated(0, *"aaaaab")
    by_fve = [FeatureRef(0, i) for i in (5, 0, 1, 2, 3, 77)]
    assert type_under(given, by_fve, 5).head_type == "minor_exceptions"
    beyond = type_under(given, by_fve, 6)
    assert (beyond.provisional, beyond.n_unlabelled) == (True, 1)


def test_sensitivity_by_hand():
    head = HeadRef(0, 0)
    given = {head: annotated(0, *"aaaaabbbbb")}
    in_order = [FeatureRef(0, i) for i in range(10)]
    rankings = {(head, "decoder_weight"): in_order, (head, "fve"): in_order[3:] + in_order[:3]}
    rows = {(row.ranking, row.k): row.tally for row in sensitivity(given, rankings)}
    assert sorted(rows) == [(r, k) for r in ("decoder_weight", "fve") for k in (5, 10, 20)]
    assert rows["decoder_weight", 5]["monosemantic"].count == 1
    assert rows["fve", 5]["bisemantic"].count == 1
    assert rows["decoder_weight", 20]["bisemantic"].count == 1


def test_the_layer_table():
    named = (Group("of", "LX", "token"), Group("court", "CX", "context"))
    heads = {
        HeadRef(2, 1): annotated(2, *["of"] * 3, "?", named=named),
        HeadRef(2, 0): annotated(2, "court", "court", "of", "of", named=named, roles=("local context",)),
        HeadRef(0, 3): annotated(0, *["of"] * 10, named=named),
    }
    table = layer_table(heads, 4)
    assert [row.layer for row in table] == [0, 1, 2, 3]
    assert table[0].abstraction == 1
    assert [(n.head, n.all_alike, n.n_in_group) for n in table[0].notable] == [(HeadRef(0, 3), True, 10)]
    row = table[2]
    assert row.groups == (("of", 5), ("court", 2))
    assert row.families == (("LX", 5), ("CX", 2), ("unclear", 1))
    assert row.abstraction == pytest.approx((5 * 1 + 2 * 4) / 7)
    assert [(n.head, n.all_alike) for n in row.notable] == [(HeadRef(2, 0), False)]
    assert (table[1].n_heads, table[1].groups, table[1].abstraction) == (0, (), None)


def test_a_head_with_open_features_has_no_asterisk():
    table = layer_table({HeadRef(0, 0): annotated(0, "a", None, surprising=True)}, 1)
    assert [n.all_alike for n in table[0].notable] == [False]
