"""What an annotation may hold, its JSON form, and merging."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.annotations.json_form import content_to_json, head_from_json, note_from_json
from app.domain.annotations.merging import merge
from app.domain.annotations.note_text import MAX_NOTE_BYTES, InvalidText, TextTooLong, check_name, check_text
from app.domain.annotations.records import (
    EvidenceLink,
    FeatureLabel,
    FeatureNote,
    Group,
    HeadAnnotation,
    InvalidAnnotation,
    Subject,
    check_content,
)
from app.domain.refs import FeatureRef, HeadRef
from app.errors import AppError
from tests.support.annotation_strategies import annotations

HEAD = Subject(HeadRef(5, 1))
F1, F2, F3 = (FeatureRef(5, i) for i in (1, 2, 3))


@given(st.text())
def test_d12_text_is_kept_as_sent_or_refused_with_its_position(text):
    bad = [i for i, c in enumerate(text) if "\ud800" <= c <= "\udfff" or (c < " " and c not in "\t\n\r")]
    if bad:
        with pytest.raises(InvalidText, match=rf"position {bad[0]},"):
            check_text(text, "the notes")
    else:
        assert check_text(text, "the notes") is text


@pytest.mark.parametrize("text", ["\x00", "ab\x07", "\ud800", "x\udfff"])
def test_d12_what_cannot_be_stored_is_named(text):
    with pytest.raises(InvalidText, match=f"U\\+{ord(text[-1]):04X} at position {len(text) - 1}") as caught:
        check_text(text, "the notes")
    assert caught.value.status_code == 422
    str(caught.value).encode()


@pytest.mark.parametrize(
    "text", ["", " ", "x", "x" * MAX_NOTE_BYTES, "é" * (MAX_NOTE_BYTES // 2), "\n" * 65536]
)
def test_d11_texts_up_to_the_limit_are_accepted(text):
    assert check_text(text, "the notes") == text


@pytest.mark.parametrize(
    "text", ["x" * (MAX_NOTE_BYTES + 1), "é" * (MAX_NOTE_BYTES // 2) + "x", "x\n" * 524288]
)
def test_d11_above_the_limit_the_limit_is_named(text):
    with pytest.raises(TextTooLong, match=r"at most 65536") as caught:
        check_text(text, "the notes")
    assert caught.value.status_code == 413


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\tb", "x" * 401, "a\x7f", "a\x85", "\x9b31m"])
def test_names_are_one_line(name):
    with pytest.raises(AppError):
        check_name(name, "the name")


GROUPS = (Group("a"), Group("b"))


def labelled(*labels, groups=GROUPS, **fields):
    return HeadAnnotation(groups=groups, labels=labels, **fields)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (labelled(FeatureLabel(F1, "a"), FeatureLabel(F1, "b")), "L5F1 is labelled twice"),
        (labelled(FeatureLabel(FeatureRef(4, 1), "a")), "not a feature of layer 5"),
        (labelled(FeatureLabel(F1, "a", unclear=True)), "in a group and unclear"),
        (labelled(FeatureLabel(F1, "c")), "not among the groups"),
        (labelled(groups=(Group("a b"), Group("A-B"))), "the same name"),
        (labelled(groups=(Group(" "),)), "empty"),
        (labelled(groups=(Group("a", "XX"),)), "unknown family"),
        (labelled(groups=(Group("a", "IN", "high"),)), "level of abstraction"),
        (labelled(override="bisemantic"), "needs a reason"),
        (labelled(override="nonsense", override_reason="x"), "unknown head type"),
        (labelled(roles=("induction", "IN")), "given twice"),
        (labelled(roles=("inductive",)), "not a role"),
        (labelled(confidence=6), "from 1 to 5"),
        (labelled(knew_before="perhaps"), "knew it before"),
        (labelled(k=0), "k is 0"),
        (labelled(ranking="size"), "unknown ranking"),
        (labelled(evidence=(EvidenceLink("hearsay", "x"),)), "kind of evidence"),
        (labelled(notes="\x00"), "U\\+0000"),
        (labelled(groups=tuple(Group(f"g{i}") for i in range(101))), "101 groups"),
        (FeatureNote("a"), "cannot have a FeatureNote"),
    ],
)
def test_what_contradicts_itself_is_refused(content, sentence):
    with pytest.raises(AppError, match=sentence) as caught:
        check_content(content, HEAD)
    assert caught.value.status_code == 422


@settings(max_examples=60)
@given(annotations())
def test_what_the_form_accepts_survives_json(content):
    check_content(content, HEAD)
    text = json.dumps(content_to_json(content), allow_nan=False)
    assert head_from_json(json.loads(text)) == content


def test_d13_a_stored_role_follows_its_renaming_and_outlives_its_removal():
    stored = {"roles": ["prev token", "IN", "a role of another age"]}
    assert head_from_json(stored).roles == ("previous token", "induction", "a role of another age")


def test_a_feature_note_survives_json():
    note = FeatureNote("dash by induction", "=1+1\r\n")
    check_content(note, Subject(F1, "a" * 64))
    assert note_from_json(content_to_json(note)) == note


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {"note": 1},
        {"labels": {}},
        {"labels": [{"group": "a"}]},
        {"labels": [{"feature": "L5H1"}]},
        {"labels": [{"feature": "L5F1", "unclear": "yes"}]},
        {"groups": ["a"]},
        {"groups": [{}]},
        {"confidence": True},
        {"confidence": 1.5},
        {"k": None},
        {"roles": [1]},
        {"colour": "red"},
    ],
)
def test_json_of_another_shape_is_refused(value):
    with pytest.raises(AppError):
        head_from_json(value)


def test_a_subject_is_a_head_or_a_feature_of_an_sae():
    for ref, sae in ((F1, ""), (HeadRef(5, 1), "abc")):
        with pytest.raises(ValueError, match="SAE"):
            Subject(ref, sae)


BASE = labelled(FeatureLabel(F1, "a"), FeatureLabel(F2), notes="old", confidence=3)


def test_changes_to_different_parts_merge_without_a_clash():
    mine = replace(
        BASE, notes="new", labels=(FeatureLabel(F1, "a"), FeatureLabel(F2, "b")), roles=("induction",)
    )
    theirs = replace(BASE, confidence=5, labels=(FeatureLabel(F1, "b"), FeatureLabel(F2)), roles=("copying",))
    merged = merge(BASE, mine, theirs)
    assert merged.clashes == ()
    assert merged.content == labelled(
        FeatureLabel(F1, "b"),
        FeatureLabel(F2, "b"),
        notes="new",
        confidence=5,
        roles=("induction", "copying"),
    )


def test_changes_to_one_part_clash_and_both_texts_are_kept():
    mine = replace(BASE, notes="mine", labels=(FeatureLabel(F1, "b"),))
    theirs = replace(BASE, notes="theirs", labels=(FeatureLabel(F1, unclear=True),))
    merged = merge(BASE, mine, theirs)
    found = {clash.field: (clash.mine, clash.theirs) for clash in merged.clashes}
    assert found["notes"] == ("mine", "theirs")
    assert found["L5F1"] == (FeatureLabel(F1, "b"), FeatureLabel(F1, unclear=True))
    assert merged.content.notes == "mine"


def test_a_group_that_one_side_removed_stays_while_the_other_uses_it():
    mine = replace(BASE, groups=(Group("a"),))
    theirs = replace(BASE, labels=(FeatureLabel(F1, "a"), FeatureLabel(F2, "b")))
    merged = merge(BASE, mine, theirs).content
    check_content(merged, HEAD)
    assert {group.name for group in merged.groups} == {"a", "b"}


@settings(max_examples=80)
@given(annotations(), annotations(), annotations())
def test_a_merge_is_always_valid_and_changes_nothing_that_nobody_changed(base, mine, theirs):
    check_content(merge(base, mine, theirs).content, HEAD)
    assert merge(base, mine, base).content == mine
    assert merge(mine, mine, mine).content == mine
    assert not merge(base, base, theirs).clashes


def test_heads_and_features_do_not_merge():
    with pytest.raises(ValueError, match="cannot be merged"):
        merge(FeatureNote(), HeadAnnotation(), HeadAnnotation())
    merged = merge(FeatureNote("a", "x"), FeatureNote("a", "y"), FeatureNote("b", "x"))
    assert merged.content == FeatureNote("b", "y")


def test_a_note_is_no_object():
    with pytest.raises(InvalidAnnotation):
        note_from_json("x")
