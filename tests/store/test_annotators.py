"""Annotators and their sessions."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from app.domain.annotations.records import HeadAnnotation
from app.errors import AppError, NotFound
from app.store import annotations, annotators
from app.store.annotators import InvalidAnnotator, add_annotator
from app.store.database.engine import read_session, write_session
from app.store.tables.annotations import SessionRow
from tests.support.annotated_atlas import NOW, draft, later, make_atlas, save

HOUR = timedelta(hours=1)


def holder_of(session, token, now):
    login = annotators.find_login(session, token, now)
    return None if login is None else login.annotator


@pytest.fixture
def session(engine):
    with write_session(engine) as opened:
        yield opened


def test_e17_a_new_store_has_no_annotator(session):
    assert annotators.list_annotators(session) == []


def test_an_annotator_is_read_back(session):
    added = add_annotator(session, "Zoë 李", NOW, "admin", blind=True, password_hash="hash")
    assert annotators.get_annotator(session, "Zoë 李") == added
    assert (added.role, added.blind, added.created_at, added.removed_at) == ("admin", True, NOW, None)


@pytest.mark.parametrize(
    "name", ["", " ", " ada", "a\nb", "\x00", "Ada", "ADA", "consensus", "Published", "x" * 401]
)
def test_names_that_are_taken_reserved_or_no_names_are_refused(session, name):
    add_annotator(session, "ada", NOW)
    with pytest.raises(AppError) as caught:
        add_annotator(session, name, NOW)
    assert caught.value.status_code in (413, 422)


def test_an_unknown_role_is_refused(session):
    with pytest.raises(InvalidAnnotator, match="'owner' is not a role"):
        add_annotator(session, "ada", NOW, "owner")


def test_the_consensus_is_made_once_and_cannot_be_changed(session):
    shared = annotators.ensure_annotator(session, annotators.CONSENSUS, NOW, "system")
    assert annotators.ensure_annotator(session, annotators.CONSENSUS, later(1), "system") == shared
    for change in ({"name": "mine"}, {"role": "admin"}, {"password_hash": "x"}):
        with pytest.raises(InvalidAnnotator):
            annotators.change_annotator(session, replace(shared, **change))


def test_nobody_becomes_the_system(session):
    ada = add_annotator(session, "ada", NOW)
    with pytest.raises(InvalidAnnotator):
        annotators.change_annotator(session, replace(ada, role="system"))


def test_d15_text_and_authorship_follow_a_rename_and_outlive_a_removal(engine):
    atlas_id, (ada, ben) = make_atlas(engine, "ada", "ben")
    save(engine, atlas_id, draft(ada, HeadAnnotation(notes="hers")))
    with write_session(engine) as session:
        renamed = annotators.change_annotator(session, replace(ada, name="Ada L."))
        with pytest.raises(InvalidAnnotator, match="already"):
            annotators.change_annotator(session, replace(ben, name="ada l."))
        removed = annotators.remove_annotator(session, renamed, later(5))
    assert (removed.name, removed.removed_at) == ("Ada L.", later(5))
    with read_session(engine) as session:
        (record,) = annotations.current_records(session, atlas_id)
    assert (record.annotator, record.content.notes) == ("Ada L.", "hers")


def test_a_session_is_found_by_its_token_until_it_expires(session):
    ada = add_annotator(session, "ada", NOW)
    token = annotators.start_login(session, ada, NOW, HOUR)
    assert holder_of(session, token, later(59)) == ada
    assert annotators.find_login(session, token, later(60)) is None
    for wrong in ("", token[:-1], token + "x", "\udfff"):
        assert annotators.find_login(session, wrong, NOW) is None


def test_the_store_keeps_no_token(session):
    ada = add_annotator(session, "ada", NOW)
    tokens = {annotators.start_login(session, ada, NOW, HOUR) for _ in range(5)}
    hashes = set(session.scalars(select(SessionRow.token_hash)))
    assert len(tokens) == len(hashes) == 5
    assert not tokens & hashes
    assert all(len(token) >= 43 for token in tokens)  # 256 bits


def test_e12_every_login_has_a_token_of_its_own_and_e13_logging_out_ends_it(session):
    ada = add_annotator(session, "ada", NOW)
    first, second = (annotators.start_login(session, ada, NOW, HOUR) for _ in range(2))
    annotators.end_login(session, first)
    assert annotators.find_login(session, first, NOW) is None
    assert holder_of(session, second, NOW) == ada


def test_e13_a_new_password_ends_all_sessions_of_that_annotator(session):
    ada, ben = add_annotator(session, "ada", NOW), add_annotator(session, "ben", NOW)
    hers, his = (annotators.start_login(session, who, NOW, HOUR) for who in (ada, ben))
    annotators.change_annotator(session, replace(ada, blind=True))
    assert annotators.find_login(session, hers, NOW) is not None
    annotators.change_annotator(session, replace(ada, password_hash="new"))
    assert annotators.find_login(session, hers, NOW) is None
    assert holder_of(session, his, NOW) == ben


def test_a_removed_annotator_has_no_session(session):
    ada = add_annotator(session, "ada", NOW, password_hash="x")
    token = annotators.start_login(session, ada, NOW, HOUR)
    removed = annotators.remove_annotator(session, ada, NOW)
    assert removed.password_hash is None
    assert annotators.find_login(session, token, NOW) is None
    late = annotators.start_login(session, removed, NOW, HOUR)
    assert annotators.find_login(session, late, NOW) is None


def test_expired_sessions_are_swept(session):
    ada = add_annotator(session, "ada", NOW)
    annotators.start_login(session, ada, NOW, HOUR)
    annotators.start_login(session, ada, later(61), HOUR)
    assert len(session.scalars(select(SessionRow)).all()) == 1


def test_an_unknown_annotator(session):
    assert annotators.find_annotator(session, "eve") is None
    with pytest.raises(NotFound, match="no annotator 'eve'"):
        annotators.get_annotator(session, "eve")
