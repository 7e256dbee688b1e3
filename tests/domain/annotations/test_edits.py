"""Single edits, the line that undo and redo walk, and what would change a type, in words."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.annotations import edits
from app.domain.annotations.head_types import HEAD_TYPE_NAMES, Mark, classify
from app.domain.annotations.records import EvidenceLink, FeatureLabel, Group, HeadAnnotation
from app.domain.annotations.type_changes import changes_in_words, counts_in_words
from app.domain.refs import FeatureRef

REFS = [FeatureRef(0, i) for i in range(4)]


def content(*groups):
    names = tuple(dict.fromkeys(name for name in groups if name))
    labels = tuple(FeatureLabel(ref, name) for ref, name in zip(REFS, groups, strict=False))
    return HeadAnnotation(groups=tuple(Group(name, "IN") for name in names), labels=labels)


def test_a_group_is_added_once_whatever_its_spelling():
    added = edits.add_group(content(), "Long-prefix induction")
    assert edits.add_group(added, "long prefix  induction") == added
    assert added.groups[0].family == "IN"
    assert edits.add_group(content(), "bigrams of code").groups[0].family == "LX"


def test_dropping_a_group_clears_its_labels_alone():
    left = edits.drop_group(content("a", "b", "a"), 1)
    assert [group.name for group in left.groups] == ["b"]
    assert [label.group for label in left.labels] == [None, "b", None]
    assert edits.drop_group(left, 9) == left


def test_groups_that_no_label_is_in_are_left_out():
    whole = edits.add_group(edits.add_group(content("a", None, "b"), "c"), "d")
    assert edits.without_empty_groups(whole) == content("a", None, "b")
    assert edits.without_empty_groups(edits.add_group(content(None), "c")).groups == ()


def test_features_that_have_a_label_stay_where_they_are():
    wish = {REFS[0]: "new", REFS[1]: "new", REFS[2]: "A"}
    put = edits.put_into_groups(content("a", None, None), wish, suggested=True)
    assert [label.group for label in put.labels] == ["a", "new", "a"]
    assert [label.suggested for label in put.labels] == [False, True, True]


def test_evidence_is_cited_once_and_dropped_by_number():
    link = EvidenceLink("score", "induction")
    cited = edits.cite(edits.cite(content(), link), EvidenceLink("score", "induction", "again"))
    assert cited.evidence == (link,)
    assert edits.drop_evidence(cited, 1).evidence == ()
    assert edits.drop_evidence(cited, 2) == cited


def test_theirs_is_taken_field_by_field():
    mine, theirs = content("a", "b"), content("c", "b")
    theirs = edits.take_theirs(theirs, HeadAnnotation(notes="theirs", confidence=3), ["notes", "confidence"])
    taken = edits.take_theirs(mine, theirs, ["notes", str(REFS[0])])
    assert (taken.notes, taken.confidence) == ("theirs", None)
    assert [label.group for label in taken.labels] == ["c", "b"]
    assert {group.name for group in taken.groups} == {"a", "b", "c"}


class RecordHistory:
    """A record of edits and restorations, beside a plain list of states with a place in it."""

    def __init__(self):
        self.versions, self.content = {}, {}
        self.line, self.place = [], -1

    def edit(self):
        version = len(self.versions) + 1
        self.versions[version], self.content[version] = None, f"edit {version}"
        self.line = [*self.line[: self.place + 1], self.content[version]]
        self.place += 1

    def step(self, target, by):
        if target is None:
            assert not 0 <= self.place + by < len(self.line)
            return
        version = len(self.versions) + 1
        self.versions[version], self.content[version] = target, self.content[target]
        self.place += by
        assert self.content[version] == self.line[self.place]


@given(st.lists(st.sampled_from(["edit", "undo", "redo"]), max_size=40))
def test_undo_and_redo_are_those_of_an_editor(actions):
    record = RecordHistory()
    for action in actions:
        if action == "edit":
            record.edit()
        elif action == "undo":
            record.step(edits.undo_target(record.versions), -1)
        else:
            record.step(edits.redo_target(record.versions), 1)


def test_an_imported_record_is_undone_as_far_as_it_goes():
    assert edits.undo_target({}) is None
    assert edits.undo_target({7: None}) is None
    assert edits.undo_target({7: None, 8: None}) == 7


LABELS = st.lists(st.sampled_from(["a", "b", "c", Mark.UNCLEAR, Mark.UNLABELLED]), max_size=12)


@given(LABELS)
def test_what_would_change_is_true_and_names_a_type(labels):
    for sentence in changes_in_words(labels, 10):
        assert any(f"{name}." in sentence for name in HEAD_TYPE_NAMES.values())
        places = re.match(r"If (\d+)(?: and (\d+))? (?:joins?|is|are) ", sentence)
        found = classify(labels, 10)
        largest = found.groups[0][0] if found.groups else None
        for place in filter(None, places.groups() if places else ()):
            now = labels[int(place) - 1]
            assert now is Mark.UNLABELLED if found.n_unlabelled else now != largest
    assert len(changes_in_words(labels, 10)) <= 2


def test_words_of_a_head():
    labels = ["a"] * 9 + [Mark.UNLABELLED]
    assert counts_in_words(classify(labels)) == "9 in “a”, 1 open"
    assert changes_in_words(labels, 10) == (
        "If 10 joins “a”: plausibly monosemantic.",
        "If 10 is unclear: plausibly monosemantic, minor exceptions.",
    )
    assert changes_in_words([Mark.UNLABELLED, "a", Mark.UNLABELLED, *["a"] * 7], 10) == (
        "If 1 and 3 join “a”: plausibly monosemantic.",
        "If 1 and 3 are unclear: plausibly monosemantic, minor exceptions.",
    )
    assert changes_in_words([*["a"] * 7, *[Mark.UNLABELLED] * 3], 10)[0] == (
        "If all 3 join “a”: plausibly monosemantic."
    )
    assert changes_in_words(["a", "b", *["a"] * 7, "b"], 10) == (
        "If 2 and 10 join “a”: plausibly monosemantic.",
        "1 fewer in “a”: polysemantic.",
    )
    assert changes_in_words([*["a"] * 4, Mark.UNCLEAR, *["A"] * 5], 10)[0] == (
        "If 5 joins “a”: plausibly monosemantic."
    )
    # One of the two would do, so neither is named.
    assert changes_in_words(["a", "a", "a", "b", "c"], 5)[0] == (
        "1 more in “a”: plausibly monosemantic, minor exceptions."
    )


@pytest.mark.parametrize("labels", [[], [Mark.UNLABELLED] * 3])
def test_without_a_type_nothing_changes(labels):
    assert changes_in_words(labels, 10) == ()
