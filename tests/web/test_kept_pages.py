"""Pages that outlive saves which change nothing on them: always the page that would be built, whatever was saved."""

import random
from contextlib import suppress

import pytest
from sqlalchemy import func, select, update

from app.domain.annotations.records import FeatureNote, HeadAnnotation
from app.domain.refs import FeatureRef, HeadRef
from app.services.annotations.head_records import group_names
from app.services.annotations.panel import panel
from app.services.annotations.saving import Save, save
from app.services.heads import annotated
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import Viewer
from app.store.annotation_state import annotation_state
from app.store.annotations import current_records_and_second_looks, get_atlas_id
from app.store.annotators import get_annotator
from app.store.atlas.reads import get_live_run
from app.store.database.engine import read_session, write_session
from app.store.tables.annotations import RevisionRow
from app.web.page_cache import PageCache
from tests.support.annotated_atlas import labelled, later
from tests.support.logins import logged_in
from tests.support.writers import Writer, drawn

PAGE = "/tiny/heads/L0H1"
PATHS = (
    *(
        PAGE,
        "/tiny/heads/L0H0",
        "/tiny/heads/L2H3?rank=fve&k=3",
        "/tiny/heads/L1H0",
        "/tiny/heads/L0H0?look=L0H0",
    ),
    *("/tiny", "/tiny?colour=type&annotator=ada", "/tiny.json", "/tiny/layers", "/tiny/features/L0F3"),
)


@pytest.fixture
def store(store_of_each_engine):
    return store_of_each_engine


def test_a_note_on_another_head_leaves_the_page_and_its_tag(team, store_engine):
    ada = logged_in(team, "ada")
    pages = {path: ada.get(path) for path in (PAGE, "/tiny")}
    Writer(store_engine, "ada").save(HeadRef(0, 2), HeadAnnotation(notes="draft"), "draft")
    pages["/tiny"] = ada.get("/tiny")
    Writer(store_engine, "ada").save(HeadRef(0, 2), HeadAnnotation(notes="another draft"), "draft")
    with drawn(team) as templates:
        for path, before in pages.items():
            after = ada.get(path)
            assert (after.text, after.headers["ETag"]) == (before.text, before.headers["ETag"]), path
            tag = {"If-None-Match": before.headers["ETag"]}
            assert ada.get(path, headers=tag).status_code == 304
    assert templates == []


@pytest.mark.parametrize(
    "change",
    [
        lambda writer: writer.save(HeadRef(0, 1), HeadAnnotation(notes="of this head"), "draft"),
        lambda writer: writer.save(HeadRef(0, 2), labelled(0, *"x" * 5), "draft"),
        lambda writer: writer.save(HeadRef(0, 2), HeadAnnotation(), "submitted"),
        lambda writer: writer.change(name="adele"),
        lambda writer: Writer(writer.engine, "root").save(HeadRef(0, 1), HeadAnnotation(notes="by root")),
        lambda writer: Writer(writer.engine, "root").save(
            HeadRef(0, 1), HeadAnnotation(), for_consensus=True
        ),
    ],
    ids=["this head", "a group's name", "the next head", "a name", "another's record", "the consensus"],
)
def test_what_is_shown_of_other_heads_and_people_changes_the_page(team, store_engine, change):
    ada = logged_in(team, "ada")
    before = ada.get(PAGE)
    change(Writer(store_engine, "ada"))
    after = ada.get(PAGE, headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert after.headers["ETag"] != before.headers["ETag"]


def test_a_page_that_no_longer_holds_has_its_panel_made_once(team, store_engine, monkeypatch):
    ada, made = logged_in(team, "ada"), []
    ada.get(PAGE)
    monkeypatch.setattr(annotated, "panel", lambda *arguments: made.append(panel(*arguments)) or made[-1])
    Writer(store_engine, "ada").save(HeadRef(0, 1), HeadAnnotation(notes="of this head"), "draft")
    assert "of this head" in ada.get(PAGE).text
    assert len(made) == 1


def test_what_follows_from_records_that_were_not_committed_is_forgotten(team, store_engine):
    cache = team.state.app_context._cache
    with suppress(ZeroDivisionError), write_session(store_engine) as session:
        viewer = Viewer.of(get_annotator(session, "ada"))
        run = get_live_run(session, "tiny")
        save(
            AtlasContext(session, run, viewer, cache),
            Save(HeadRef(0, 2), labelled(0, "unheard of"), 0, "key"),
            later(1),
        )
        assert "unheard of" in group_names(AtlasContext(session, run, viewer, cache))
        raise ZeroDivisionError
    Writer(store_engine, "ada").save(HeadRef(0, 2), labelled(0, "heard of"))
    with read_session(store_engine) as session:
        names = group_names(AtlasContext(session, run, viewer, cache))
    assert ("heard of" in names, "unheard of" in names) == (True, False)


def random_change(rng, store_engine, at):
    """Something that one of the people does."""
    writer = Writer(store_engine, rng.choice(("ada", "ben", "root")), at)
    names = [rng.choice(("a", "b", "new", "?", None)) for _ in range(10)]
    head, status = (
        HeadRef(rng.choice((0, 0, 1, 2)), rng.randrange(4)),
        rng.choice(("draft", "submitted", "skipped")),
    )
    match rng.randrange(6):
        case 0:
            writer.save(FeatureRef(0, rng.choice((3, 10))), FeatureNote(rng.choice("xyz"), "note"))
        case 1:
            writer.reveal(head)
        case 2:
            writer.change(blind=rng.random() < 0.5)
        case 3:
            Writer(store_engine, "root", at).save(head, HeadAnnotation(notes=str(at)), for_consensus=True)
        case 4:
            writer.save(head, HeadAnnotation(notes=str(at), roles=("induction",)), status)
        case _:
            writer.save(head, labelled(head.layer, *names) if head.layer != 1 else HeadAnnotation(), status)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_every_page_is_the_one_that_would_be_built_after_any_saves(team, store_engine, seed):
    rng, context = random.Random(seed), team.state.app_context
    people = [logged_in(team, name) for name in ("ada", "ada", "ben", "vera", "root")]
    people[0].cookies.set("order_of_work", "disagreement")
    for at in range(8):
        random_change(rng, store_engine, at + 1)
        given = [[person.get(path).text for path in PATHS] for person in people]
        kept = context.pages
        context.pages = PageCache()
        assert given == [[person.get(path).text for path in PATHS] for person in people]
        context.pages = kept


def test_records_in_memory_are_those_of_the_store(team, store_engine):
    context, rng = team.state.app_context, random.Random(3)
    for at in range(30):
        if at < 29:
            random_change(rng, store_engine, at + 1)
        else:
            Writer(store_engine, "ben").change(name="benno")
        with context.session() as session:
            atlas = get_atlas_id(session, "tiny")
            state = annotation_state(session, "tiny", 0)
            assert context._cache.records(session, atlas, state) == current_records_and_second_looks(
                session, atlas
            )


def test_what_a_transaction_wrote_and_did_not_commit_is_forgotten(team, store_engine):
    memory = team.state.app_context._cache.records
    with read_session(store_engine) as session:
        atlas = get_atlas_id(session, "tiny")
        before = memory(session, atlas, annotation_state(session, "tiny", 0))
    uncommitted = HeadAnnotation(notes="uncommitted")
    with suppress(ZeroDivisionError), write_session(store_engine) as session:
        viewer = Viewer.of(get_annotator(session, "ada"))
        context = AtlasContext(session, get_live_run(session, "tiny"), viewer)
        save(context, Save(HeadRef(1, 1), uncommitted, 0, "key"), later(1))
        after = memory(session, atlas, annotation_state(session, "tiny", 0))
        assert uncommitted in [record.content for record in after]
        raise ZeroDivisionError
    Writer(store_engine, "ada").save(HeadRef(1, 1), HeadAnnotation(notes="committed"))
    with read_session(store_engine) as session:
        now = memory(session, atlas, annotation_state(session, "tiny", 0))
    assert {record.content.notes for record in now if record not in before} == {"committed"}


def test_a_save_that_is_committed_after_one_with_a_larger_id_is_seen(team, store_engine):
    """As two that save at once may be on Postgres."""
    ada, memory = logged_in(team, "ada"), team.state.app_context._cache.records
    before = ada.get(PAGE)
    Writer(store_engine, "root").save(HeadRef(0, 1), HeadAnnotation(notes="late"))
    with write_session(store_engine) as session:
        newest = session.scalar(select(func.max(RevisionRow.id)))
        session.execute(update(RevisionRow).where(RevisionRow.id == newest).values(id=-1))
    after = ada.get(PAGE, headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert "late" in after.text
    with read_session(store_engine) as session:
        atlas, state = get_atlas_id(session, "tiny"), annotation_state(session, "tiny", 0)
        assert memory(session, atlas, state) == current_records_and_second_looks(session, atlas)
