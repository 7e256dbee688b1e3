"""Records come in one order from every database."""

from app.domain.annotations.records import FeatureNote, HeadAnnotation, Subject
from app.domain.refs import HeadRef
from app.store import annotations
from app.store.database.engine import read_session
from tests.support.annotated_atlas import FEATURE, draft, make_atlas, save

NAMES = ("émile", "Zoe", "adam", "Ben-2", "ben 10", "Åsa")


def test_records_are_ordered_by_head_then_by_the_code_points_of_the_name(engine):
    atlas_id, people = make_atlas(engine, *NAMES)
    heads = [Subject(HeadRef(1, 0)), Subject(HeadRef(0, 10)), Subject(HeadRef(0, 2))]
    for i, person in enumerate(people):
        save(engine, atlas_id, draft(person, FeatureNote(), subject=FEATURE))
        for subject in heads[i % 2 :]:
            save(engine, atlas_id, draft(person, HeadAnnotation(), subject=subject))
    with read_session(engine) as session:
        found = annotations.current_records(session, atlas_id)
    kinds = [(record.subject.ref, record.annotator) for record in found if record.subject != FEATURE]
    assert kinds == sorted(kinds)
    assert len(kinds) == 3 * 3 + 3 * 2
    assert [record.annotator for record in found[len(kinds) :]] == sorted(NAMES)
