"""What changed between two versions of a record, item by item and in words."""

from dataclasses import replace

import pytest

from app.domain.annotations.records import EvidenceLink, FeatureLabel, Group, HeadAnnotation
from app.domain.refs import FeatureRef
from app.services.annotations.models import Change
from app.services.annotations.record_words import changes, in_words

FIRST, SECOND = FeatureRef(5, 7), FeatureRef(5, 8)
BEFORE = HeadAnnotation(
    groups=(Group("dogs"), Group("cats", "LX", "token")),
    labels=(FeatureLabel(FIRST, "dogs"), FeatureLabel(SECOND)),
    evidence=(EvidenceLink("score", "induction"),),
    notes="one",
)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("labels", FeatureLabel(FIRST, unclear=True), "unclear"),
        ("labels", FeatureLabel(FIRST, "dogs"), "dogs"),
        ("labels", FeatureLabel(FIRST), "no label"),
        ("groups", Group("dogs"), "dogs (unclear)"),
        ("groups", Group("cats", "LX", "token"), "cats (LX, token)"),
        ("evidence", EvidenceLink("feature", "L5F7"), "F7"),
        (
            "evidence",
            EvidenceLink("experiment", "4e472316a4", "as expected"),
            "experiment 4e472316a4: as expected",
        ),
        ("surprising", True, "yes"),
        ("surprising", False, "no"),
        ("ranking", "fve", "FVE"),
        ("override", "bisemantic", "plausibly bisemantic"),
        ("notes", "", "nothing"),
        ("confidence", None, "nothing"),
        ("confidence", 3, "3"),
    ],
)
def test_values_in_words(field: str, value: object, words: str) -> None:
    assert in_words(field, value) == words


def test_labels_change_by_feature_groups_by_name_and_evidence_by_what_it_names() -> None:
    after = replace(
        BEFORE,
        groups=(Group("dogs", "IN"),),
        labels=(FeatureLabel(FIRST, unclear=True), FeatureLabel(SECOND, "dogs")),
        evidence=(EvidenceLink("score", "induction"), EvidenceLink("feature", "L5F7", "strong")),
        roles=("induction",),
        notes="two",
    )
    told = {(change.before, change.after) for change in changes(BEFORE, after)}
    assert told == {
        ("dogs (unclear)", "dogs (IN)"),
        ("cats (LX, token)", "nothing"),
        ("dogs", "unclear"),
        ("no label", "dogs"),
        ("nothing", "F7: strong"),
        ("nothing", "induction"),
        ("one", "two"),
    }
    names = [change.field for change in changes(BEFORE, after)]
    assert {name.split(" ", 1)[-1] for name in names} >= {"dogs", "cats", "L5F7", "L5F8", "F7", "induction"}


def test_equal_versions_have_no_changes() -> None:
    assert changes(BEFORE, replace(BEFORE)) == ()
    (change,) = changes(BEFORE, replace(BEFORE, notes="two"))
    assert isinstance(change, Change)
