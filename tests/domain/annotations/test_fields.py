"""Fields of annotations are declared once, and what is declared is whole."""

from dataclasses import fields

from app.domain.annotations.edits import take_theirs
from app.domain.annotations.fields import (
    field_specs,
    number_fields,
    personal_fields,
    sheet_columns,
    yes_or_no_fields,
)
from app.domain.annotations.records import FeatureLabel, FeatureNote, Group, HeadAnnotation
from app.domain.refs import FeatureRef


def test_columns_of_a_sheet_stay_where_files_out_there_have_them():
    assert sheet_columns(HeadAnnotation) == (
        "roles",
        "groups",
        "labels",
        "override",
        "override_reason",
        "confidence",
        "knew_before",
        "surprising",
        "notes",
        "evidence",
        "ranking",
        "k",
    )
    assert sheet_columns(FeatureNote) == ("label", "note")


def test_a_consensus_takes_over_what_is_not_personal():
    assert {"confidence", "knew_before"} <= set(personal_fields(HeadAnnotation))
    assert not {"groups", "labels", "roles", "override", "notes"} & set(personal_fields(HeadAnnotation))


def test_numbers_and_what_may_say_no_are_told_by_their_kind():
    numbers, yes_or_no = number_fields(HeadAnnotation), yes_or_no_fields(HeadAnnotation)
    assert {"k", "confidence"} <= set(numbers)
    assert {"knew_before", "surprising"} <= set(yes_or_no)
    assert not {*numbers, *yes_or_no} & {"roles", "override", "notes", "ranking", "evidence"}


def test_every_field_has_words_and_a_position_of_its_own():
    for content_type in (HeadAnnotation, FeatureNote):
        specs = field_specs(content_type)
        assert list(specs) == [part.name for part in fields(content_type)]
        assert sorted(spec.position for spec in specs.values()) == list(range(1, len(specs) + 1))
        assert all(spec.words for spec in specs.values())


def test_choices_and_lists_are_what_the_defaults_say():
    for name, spec in field_specs(HeadAnnotation).items():
        default = getattr(HeadAnnotation(), name)
        assert spec.merged_by_part == isinstance(default, tuple), name
        assert bool(spec.choices) == bool(spec.choice_name) == (spec.kind == "choice"), name
        assert (spec.kind == "flag") == isinstance(default, bool), name


def test_a_form_cannot_take_a_whole_list_of_theirs():
    """A merge names features and single groups, so that only what clashes is replaced."""
    mine = HeadAnnotation((Group("mine"),), (FeatureLabel(FeatureRef(0, 1), "mine"),), notes="a")
    theirs = HeadAnnotation((Group("theirs"),), (FeatureLabel(FeatureRef(0, 2), "theirs"),), notes="b")
    assert take_theirs(mine, theirs, ["groups", "labels", "roles", "evidence"]) == mine
    assert take_theirs(mine, theirs, ["notes"]).notes == "b"
