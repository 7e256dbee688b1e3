"""Second looks: which heads come twice and when, records of their own, and how consistent they are with the first."""

import json
import random
import re
from dataclasses import replace

import pytest

from app.domain.annotations.records import HeadAnnotation
from app.domain.refs import HeadRef
from app.errors import NotFound
from app.services.annotations import edits, second_looks
from app.services.annotations.edits import SubmittedForm
from app.services.annotations.head_records import head_records
from app.services.annotations.next_heads import NextHead, comes_twice
from app.services.annotations.second_looks import next_look
from app.services.reading.context import AtlasContext
from app.services.rollups.consistency import cohens_kappa
from app.services.rollups.rollup import agree, consistency
from app.services.sheet.files import SHEET_FORMATS, read_sheet
from app.services.sheet.imports import ImportRefused
from app.store import annotations as store
from app.store.annotations import get_atlas_id
from app.store.atlas.reads import get_live_run
from app.store.database.engine import open_store, write_session
from tests.support.annotated_atlas import NOW, labelled, later
from tests.support.annotating import HEAD, Team
from tests.support.sheets import export_sheet, import_sheet

HEADS = [HeadRef(layer, head) for layer in (0, 2) for head in range(4)]
CHOSEN = HeadRef(0, 2)


@pytest.fixture
def team(engine, monkeypatch):
    members = Team(engine, ada={}, ben={"blind": True}, root={"role": "admin"})
    monkeypatch.setattr(second_looks, "comes_twice", lambda _atlas, _name, head: head == CHOSEN)
    members.viewers["ada"] = replace(members["ada"], again=True)
    return members


def look_again(team, name, head=HEAD):
    """Makes `name twice` the annotator in their second look at the head."""
    team.viewers[f"{name} twice"] = replace(team[name], second_look=head)
    return f"{name} twice"


def test_a_tenth_is_chosen_by_a_hash_that_is_the_same_everywhere():
    heads = [HeadRef(layer, head) for layer in range(40) for head in range(40)]
    chosen = {head for head in heads if comes_twice("atlas", "ada", head)}
    assert 0.08 < len(chosen) / len(heads) < 0.12
    assert [
        str(head) for head in heads if head.layer < 3 and head.head < 4 and comes_twice("tiny", "ada", head)
    ] == ["L2H3"]
    other = {head for head in heads if comes_twice("atlas", "ben", head)}
    assert len(chosen & other) < len(chosen) / 4


def test_a_chosen_head_comes_again_after_others_or_at_the_end_and_once(team, monkeypatch):
    monkeypatch.setattr(second_looks, "BETWEEN", 3)
    seen, following = [], NextHead(HEADS[0])
    for minute in range(12):
        if following is None:
            break
        seen.append(following)
        name = look_again(team, "ada", following.head) if following.again else "ada"
        team.save(name, labelled(following.head.layer, "a"), following.head, now=later(minute))
        following = team.view(next_look, team[name], following.head)
    first = [NextHead(head) for head in HEADS]
    assert seen == [*first[:6], NextHead(CHOSEN, again=True), *first[6:]]
    monkeypatch.setattr(second_looks, "BETWEEN", 30)
    assert team.view(next_look, replace(team["ada"], again=False), None) is None
    assert team.view(next_look, team["ada"], None) is None


def test_without_others_left_it_comes_at_the_end(team):
    for minute, head in enumerate(HEADS):
        team.save("ada", labelled(head.layer, "a"), head, now=later(minute))
    assert team.view(next_look, team["ada"], HEADS[-1]) == NextHead(CHOSEN, again=True)
    assert team.view(next_look, replace(team["ada"], again=False), HEADS[-1]) is None


def test_a_second_look_is_a_record_beside_the_first(team):
    team.save("ada", labelled(0, *"aaab", notes="first"))
    twice = look_again(team, "ada")
    team.save(twice, labelled(0, *"ab", notes="second"), now=later(1))
    team.save(twice, labelled(0, *"abb", notes="second"), base=1, now=later(2))
    plain, again = (team.view(head_records, team[name], HEAD).record for name in ("ada", twice))
    assert (plain.version, plain.content.notes, len(plain.content.labels)) == (1, "first", 4)
    assert (again.version, again.content.notes, len(again.content.labels)) == (2, "second", 3)
    assert team.view(agree, team["root"]).annotators == ("ada",)
    atlas_id = team.read(get_atlas_id, "tiny")
    everything = team.read(store.current_records_and_second_looks, atlas_id)
    assert [record.subject.second for record in everything] == [False, True]
    assert all(not record.subject.second for record in team.read(store.current_records, atlas_id))


def test_who_has_not_submitted_a_head_has_no_second_look_at_it(team):
    twice = look_again(team, "ada")
    form = SubmittedForm(HeadAnnotation(), 0, "draft")
    for status in (None, "draft", "skipped"):
        if status:
            team.save("ada", labelled(0, "a"), base=int(status == "skipped"), status=status)
        with write_session(team.engine) as session:
            context = AtlasContext(session, get_live_run(session, "tiny"), team[twice])
            with pytest.raises(NotFound, match="to look at again"):
                edits.apply_action(context, HEAD, form, NOW)


def test_consistency_is_counted_by_hand(team):
    looks = [
        # head, labels of both looks, roles of both, confidence of both
        (HeadRef(0, 0), "aaab", "aabb", ("induction",), ("induction",), 3, 3),
        (HeadRef(0, 1), "ab?", "ab?", ("copying",), (), 2, 4),
        (HeadRef(2, 0), "A-b", "zzz", (), (), None, 1),
    ]
    for head, first, second, roles, roles_again, sure, sure_again in looks:
        team.save("ada", labelled(head.layer, *first, roles=roles, confidence=sure), head)
        twice = look_again(team, "ada", head)
        team.save(twice, labelled(head.layer, *second, roles=roles_again, confidence=sure_again), head)
    draft = look_again(team, "ada", HeadRef(2, 1))
    team.save("ada", labelled(2, "a"), HeadRef(2, 1))
    team.save(draft, labelled(2, "b"), HeadRef(2, 1), status="draft")
    [found] = team.view(consistency, team["ada"])
    assert (found.annotator, found.n_heads) == ("ada", 3)
    fields = {field.field: field for field in found.fields}
    groups = fields["group of a feature"]
    assert (groups.n, groups.agreement) == (10, pytest.approx(6 / 10))
    pairs = [
        *zip("aaab", "aabb", strict=True),
        *zip("ab?", "ab?", strict=True),
        *zip("A-b", "zzz", strict=True),
    ]
    pairs = [(old.lower(), new.lower()) for old, new in pairs]
    expected = sum(
        sum(old == name for old, _ in pairs) * sum(new == name for _, new in pairs) for name in "ab?z-"
    )
    by_hand = (6 / 10 - expected / 100) / (1 - expected / 100)
    assert groups.kappa == pytest.approx(by_hand)
    assert (fields["confidence"].n, fields["confidence"].agreement) == (2, 0.5)
    roles = fields["role, given or not"]
    n_roles = roles.n // 3
    assert (roles.n, roles.agreement) == (3 * n_roles, pytest.approx(1 - 1 / (3 * n_roles)))
    assert (fields["knew it before"].n, fields["knew it before"].agreement) == (0, None)
    assert fields["surprising"].kappa is None  # never said, in either look


def test_kappa_is_cohens():
    assert cohens_kappa([(1, 1), (1, 2), (2, 2), (2, 2)]) == pytest.approx(0.5)
    # Cohen's own kind of table: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no.
    table = [(1, 1)] * 20 + [(1, 0)] * 5 + [(0, 1)] * 10 + [(0, 0)] * 15
    assert cohens_kappa(table) == pytest.approx(0.4)
    assert cohens_kappa([]) is None
    assert cohens_kappa([("a", "a")] * 3) is None


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_that_of_a_slow_loop(seed):
    choose = random.Random(seed)
    values = [(choose.choice("aab?"), choose.choice("abb-")) for _ in range(30)]
    same = by_chance = 0.0
    for old, new in values:
        same += (old == new) / len(values)
        for _, other in values:  # each first look beside each second look, of whatever feature
            by_chance += (old == other) / len(values) ** 2
    assert cohens_kappa(values) == pytest.approx((same - by_chance) / (1 - by_chance))


def test_others_see_a_second_look_when_it_is_submitted_and_the_blind_when_the_head_is_open_to_them(team):
    team.save("ada", labelled(0, "a"))
    twice = look_again(team, "ada")
    team.save(twice, labelled(0, "b"), status="draft")
    counts = lambda name: len(team.view(lambda context: context.second_looks, team[name]))  # noqa: E731
    assert [counts(name) for name in ("ada", "ben", twice)] == [1, 0, 0]
    team.save(twice, labelled(0, "b"), base=1)
    assert [counts(name) for name in ("ada", "ben", "root", twice)] == [1, 0, 1, 0]
    team.save("ben", labelled(0, "b"))
    assert counts("ben") == 1


@pytest.mark.parametrize("file_format", SHEET_FORMATS)
def test_every_lossless_file_has_both_looks_and_comes_back(team, file_format, make_store):
    team.save("ada", labelled(0, *"aab", notes="first"))
    before = export_sheet(team, file_format)
    assert b"look" not in before or file_format in ("xlsx", "parquet")
    team.save(look_again(team, "ada"), labelled(0, *"abb", notes="second"), now=later(3))
    whole = export_sheet(team, file_format)
    plan, done = import_sheet(team, file_format, whole, now=later(9))
    assert (done, plan.errors) == (0, ())
    other = Team(open_store(make_store()), root={"role": "admin"})
    plan, done = import_sheet(other, file_format, whole, now=later(9))
    assert (done, plan.errors) == (2, ())
    assert export_sheet(other, file_format) == whole
    [found] = other.view(consistency, other["root"])
    assert (found.annotator, found.n_heads) == ("ada", 1)
    other.engine.dispose()


@pytest.mark.parametrize("file_format", SHEET_FORMATS)
def test_a_file_that_is_made_in_a_look_has_nothing_of_the_first(team, file_format):
    team.save("ada", labelled(0, *"aab", notes="first"))
    twice = look_again(team, "ada")
    assert read_sheet(export_sheet(team, file_format, twice), file_format)[0] == []
    team.save(twice, labelled(0, *"abb", notes="second"), now=later(3))
    [(_, row)] = read_sheet(export_sheet(team, file_format, twice), file_format)[0]
    assert (row["notes"], row["look"]) == ("second", "second")


def look_row(annotator="ada", look="second", status="submitted", version=""):
    return {"head": str(HEAD), "annotator": annotator, "look": look, "status": status, "version": version}


def file_of(*rows):
    whole = {"format": "head-atlas annotations", "version": 1, "heads": rows}
    return json.dumps(whole).encode()


REFUSED = re.escape("there is no submitted record of L0H1 by 'ada' to look at again")


@pytest.mark.parametrize("status", [None, "draft", "unsure", "skipped"])
def test_a_file_begins_no_second_look_at_a_head_that_was_not_submitted(team, status):
    firsts = [look_row(look="", status=status)] if status else []
    with pytest.raises(ImportRefused, match=f"1 rows are wrong: row {1 + len(firsts)} of heads: {REFUSED}"):
        import_sheet(team, "json", file_of(*firsts, look_row()))
    if status:
        team.save("ada", status=status)
    with pytest.raises(ImportRefused, match=REFUSED):
        import_sheet(team, "json", file_of(look_row()), "ada")


def test_the_first_record_is_in_the_store_or_in_the_file_in_any_order(team):
    _, done = import_sheet(team, "json", file_of(look_row(), look_row(look="")))
    assert done == 2
    team.save("ben")
    with pytest.raises(ImportRefused, match="by 'cleo'"):
        import_sheet(team, "json", file_of(look_row("cleo")))
    _, done = import_sheet(team, "json", file_of(look_row("ben")))
    assert done == 1


def test_the_consensus_is_not_looked_at_twice(team):
    team.save("root", for_consensus=True)
    with pytest.raises(ImportRefused, match="the consensus has no second look"):
        import_sheet(team, "json", file_of(look_row("consensus")))


@pytest.mark.parametrize("status", ["draft", "unsure", "skipped"])
def test_a_look_that_is_begun_goes_on_and_comes_back_whatever_becomes_of_the_first(team, status, make_store):
    team.save("ada", labelled(0, "a"))
    twice = look_again(team, "ada")
    team.save(twice, labelled(0, "b"), now=later(1))
    team.save("ada", labelled(0, "a"), base=1, status=status, now=later(2))
    form = SubmittedForm(labelled(0, "c"), 1, "submitted", key="k")
    with write_session(team.engine) as session:
        context = AtlasContext(session, get_live_run(session, "tiny"), team[twice])
        assert edits.apply_action(context, HEAD, form, later(3)).version == 2
    whole = export_sheet(team, "json")
    other = Team(open_store(make_store()), root={"role": "admin"})
    plan, done = import_sheet(other, "json", whole, now=later(9))
    assert (done, plan.errors) == (2, ())
    assert export_sheet(other, "json") == whole
    other.engine.dispose()
