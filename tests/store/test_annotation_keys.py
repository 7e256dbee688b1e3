"""Keys of saves: what is sent again is stored once, and nobody learns from or takes another's key."""

from dataclasses import replace

import pytest

from app.domain.annotations.records import FeatureNote, Subject
from app.domain.refs import HeadRef
from app.store import annotations
from app.store.annotations import KeyReused
from tests.support.annotated_atlas import FEATURE, draft, later, make_atlas, save
from tests.support.run_data import make_run, publish
from tests.support.stored_annotations import ONE, TWO, n_rows, read


@pytest.mark.parametrize("times", [2, 10])
def test_d03_the_same_save_delivered_again_is_stored_once(engine, times):
    atlas_id, (ada,) = make_atlas(engine, "ada")
    made = draft(ada, ONE)
    answers = [save(engine, atlas_id, made, later(i)) for i in range(times)]
    assert [answer.replayed for answer in answers] == [False] + [True] * (times - 1)
    assert {answer.revision for answer in answers} == {answers[0].revision}
    assert n_rows(engine) == 1


def test_d04_a_retry_after_others_saved_gives_the_answer_of_then(engine):
    atlas_id, (ada,) = make_atlas(engine, "ada")
    made = draft(ada, ONE)
    first = save(engine, atlas_id, made).revision
    save(engine, atlas_id, draft(ada, TWO, 1))
    assert save(engine, atlas_id, made).revision == first
    (record,) = read(engine, annotations.current_records, atlas_id)
    assert record.content == TWO


@pytest.mark.parametrize("change", [{"content": TWO}, {"base_version": 1}, {"status": "submitted"}])
def test_a_key_with_another_save_of_the_record_is_refused(engine, change):
    atlas_id, (ada,) = make_atlas(engine, "ada")
    made = draft(ada, ONE)
    save(engine, atlas_id, made)
    with pytest.raises(KeyReused) as caught:
        save(engine, atlas_id, replace(made, **change))
    assert "one" not in str(caught.value)
    assert n_rows(engine) == 1


def test_a_key_belongs_to_atlas_annotator_kind_subject_and_sae(engine):
    atlas_id, (ada, ben) = make_atlas(engine, "ada", "ben")
    other_atlas = replace(make_run(seed=2), slug="other")
    publish(engine, other_atlas)
    other_id = read(engine, annotations.get_atlas_id, "other")
    made = draft(ada, ONE, idempotency_key="k")
    note = FeatureNote("x")
    saves = [
        (atlas_id, made),
        (other_id, made),
        (atlas_id, replace(made, annotator_id=ben.id, author_id=ben.id)),
        (atlas_id, replace(made, subject=Subject(HeadRef(0, 2)))),
        (atlas_id, replace(made, content=note, subject=FEATURE)),
        (atlas_id, replace(made, content=note, subject=replace(FEATURE, sae="b" * 64))),
    ]
    revisions = [save(engine, *each) for each in saves]
    assert [saved.replayed for saved in revisions] == [False] * len(saves)
    again = [save(engine, *each) for each in saves]
    assert [saved.replayed for saved in again] == [True] * len(saves)
    assert [saved.revision for saved in again] == [saved.revision for saved in revisions]
    assert n_rows(engine) == len(saves)


def test_an_annotator_cannot_occupy_anothers_key_nor_learn_from_it(engine):
    atlas_id, (ada, ben) = make_atlas(engine, "ada", "ben")
    of_ada = draft(ada, ONE, idempotency_key="guessed")
    # Ben learns the same, whether he guesses what ada saved or not, and ada's own save goes through.
    for content, base in ((TWO, 0), (ONE, 1)):
        assert not save(
            engine, atlas_id, draft(ben, content, base, idempotency_key=f"guessed {base}")
        ).replayed
    save(engine, atlas_id, of_ada)
    saved = save(engine, atlas_id, draft(ben, ONE, 2, idempotency_key="guessed"))
    assert (saved.replayed, saved.revision.annotator) == (False, "ben")


@pytest.mark.parametrize("key", ["", "x" * 101, "é", "a\x00", "\ud800", "a\nb", "\x7f"])
def test_a_key_that_is_no_key_is_refused(engine, key):
    atlas_id, (ada,) = make_atlas(engine, "ada")
    with pytest.raises(KeyReused):
        save(engine, atlas_id, draft(ada, ONE, idempotency_key=key))
