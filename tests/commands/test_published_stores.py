"""Stores as 0.1.0 and 0.2.0 made them: upgraded, read, labelled further, and told what a new run would add."""

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

import pytest
from sqlalchemy import Engine, select
from starlette.testclient import TestClient

from app.domain.annotations.records import FeatureNote
from app.domain.numbers import field_types
from app.domain.records import Examples, FeatureRecord
from app.store.annotations import current_records, get_atlas_id
from app.store.atlas import additions
from app.store.checks import check_store
from app.store.database.engine import open_store, read_session
from app.store.holdings import get_held
from app.store.opening import open_migrated
from app.store.tables.annotations import RevisionRow
from tests.support.command_line import Command
from tests.support.migrations import schema_differences
from tests.support.published_stores import PUBLISHED, make_postgres, make_sqlite
from tests.support.run_data import RunShape, make_run, publish
from tests.support.serving import served
from tests.support.store_digest import table_digest

ATTENTION, CHECKS = "what each head attends to", "the self-check of model and attributions"
DOCUMENTS = "the document that each example is from"
ALIKE = "examples of which no two are alike, with the number of places that each stands for"
LATER = (
    "the logit of a feature's first promoted token through each head",
    "the features with the most similar decoder rows",
    "the sources of examples with the heads summed",
)
PAGES = (
    "",
    "/heads/L0H1",
    "/heads/L1H0",
    "/heads/L0H1/attention",
    "/features/L0F3",
    "/layers/0",
    "/compare?heads=L0H0,L0H1",
)
WRITTEN = (
    "/heads/L0H1/history?annotator=ada",
    "/annotations",
    "/layers",
    "/published",
    "/experiments",
    "/search?q=role:induction",
)


@pytest.fixture(params=list(PUBLISHED))
def version(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest, version: str, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return make_sqlite(version, tmp_path / "old.sqlite")
    empty = request.getfixturevalue("make_postgres_store")(tables=False)
    return make_postgres(version, empty, tmp_path / "old.sqlite")


@pytest.fixture
def upgraded(store: str) -> Iterator[Engine]:
    engine = open_migrated(store, must_exist=True)
    yield engine
    engine.dispose()


def test_f01_a_published_store_is_upgraded_and_its_runs_are_as_they_were(store: str) -> None:
    engine = open_store(store)
    before = table_digest(engine)
    engine.dispose()
    engine = open_migrated(store)
    assert schema_differences(engine) == []
    assert table_digest(engine) == before
    check_store(engine)
    engine.dispose()


def test_f01_every_label_of_a_published_store_is_there(upgraded: Engine, version: str) -> None:
    with read_session(upgraded) as session:
        records = current_records(session, get_atlas_id(session, "tiny"))
        revisions = session.scalars(select(RevisionRow).order_by(RevisionRow.id)).all()
    said = {(str(record.subject.ref), record.annotator): record for record in records}
    assert {key: (record.version, record.status) for key, record in said.items()} == {
        ("L0H1", "ada"): (2, "submitted"),
        ("L0H1", "consensus"): (1, "submitted"),
        ("L1H0", "ben"): (1, "draft"),
        ("L1H1", "ben"): (1, "skipped"),
        ("L0F10", "ada"): (1, "submitted"),
    }
    full = said["L0H1", "ada"].head
    assert [(group.name, group.family) for group in full.groups] == [("names", "IN")]
    assert (str(full.labels[0].feature), full.labels[0].label) == ("L0F3", "names")
    assert (full.roles, full.confidence, full.surprising) == (("induction",), 4, True)
    assert full.notes == "zwölf ☃\nsecond line"
    assert [(link.kind, link.target) for link in full.evidence] == [
        ("score", "induction"),
        ("example", "L0F3:1:7"),
    ]
    assert said["L0H1", "consensus"].head == replace(full, notes="agreed")
    assert said["L0H1", "consensus"].author == "root"
    assert said["L0F10", "ada"].content == FeatureNote("a label", "a note")
    assert said["L0F10", "ada"].subject.sae == "0" * 64
    assert {record.against.software for record in records} == {version}
    assert [row.created_at.isoformat() for row in revisions] == [
        f"2026-03-01T12:0{i}:00+00:00" for i in range(1, 7)
    ]
    assert revisions[3].idempotency_key == "skip L1H1"


def test_pages_sheets_and_files_show_what_was_said(upgraded: Engine, store: str) -> None:
    with TestClient(served(store)) as client:
        for page in (*PAGES, *WRITTEN):
            answer = client.get(f"/tiny{page}")
            assert answer.status_code == 200, (page, answer.text[:300])
        assert "zwölf ☃" in client.get("/tiny/heads/L0H1/history?annotator=ada").text
        assert (
            "This run is older than the storage of attention" in client.get("/tiny/heads/L0H1/attention").text
        )
        rows = client.get("/tiny/heads/L0H1/annotation.json").json()
        assert "zwölf" in json.dumps(rows, ensure_ascii=False)


def test_a_label_is_saved_on_top_and_a_new_run_leaves_all_of_them(upgraded: Engine, store: str) -> None:
    with TestClient(served(store)) as client:
        saved = client.post(
            "/tiny/heads/L0H0/annotation",
            data={"version": "0", "key": "one", "action": "draft", "notes": "new"},
            headers={"Sec-Fetch-Site": "same-origin"},
            follow_redirects=False,
        )
        assert saved.status_code < 400, saved.text[:300]
    with read_session(upgraded) as session:
        before = get_held(session, "tiny")
    assert before.labels[-1].annotator == "me"
    publish(
        upgraded,
        make_run(seed=7, shape=RunShape(n_layers=2, n_heads=2, sae_layers=(0,), features_per_layer=2)),
    )
    with read_session(upgraded) as session:
        after = get_held(session, "tiny")
    assert after.labels == before.labels
    assert after.runs[0].additions == (CHECKS, ALIKE)  # which the runs of tests do not have
    assert before.runs[0].additions == (ATTENTION, DOCUMENTS, CHECKS, ALIKE)


def test_what_a_new_run_would_add_is_said_by_the_upgrade_and_by_the_list(
    command: Command, store: str, version: str
) -> None:
    told = command("db", "upgrade", "--store", store)
    assert told.code == 0
    assert f"brought from revision {PUBLISHED[version]}" in told.err
    assert (
        "".join(f"tiny: a new run would add {what}\n" for what in (ATTENTION, DOCUMENTS, CHECKS, ALIKE))
        in told.out
    )
    assert told.out.endswith("the store is up to date\n")
    listed = command("db", "runs", "--store", store).out.splitlines()
    assert "  labelled by ada: 1 heads, 1 features; 2 submitted" in listed
    assert "  labelled by consensus: 1 heads, 0 features; 1 submitted" in listed
    assert "  6 saves of annotations, 1 experiments" in listed
    assert f"    a new run would add {ATTENTION}" in listed
    if version == "0.1.0":  # the atlas of before it kept these
        assert [line for line in told.out.splitlines() if line.startswith("early")] == [
            f"early: a new run would add {what}" for what in (ATTENTION, DOCUMENTS, CHECKS, *LATER, ALIKE)
        ]
        command("db", "runs", "--remove", "early", "--apply", "--store", store)
        assert "early" not in command("db", "runs", "--store", store).out


def test_every_field_that_an_older_run_lacks_has_words() -> None:
    optional = {
        part.name
        for record in (FeatureRecord, Examples)
        for part in fields(record)
        if NoneType in get_args(_unwrapped(field_types(record)[part.name]))
    }
    assert all(additions.in_words(name) for name in optional - additions.NONE_OTHERWISE)
    assert additions.KEPT_SINCE.keys() | additions.NONE_OTHERWISE <= optional


def test_a_declared_number_without_words_of_its_own_is_told_by_its_help(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(additions.KEPT_SINCE, "top_logit")
    text = "logit of the feature's first promoted token through this head's slice"
    assert additions.in_words("top_logit") == text
    assert additions.in_words("decoder_weight_share") == "that norm over the sum of all heads'"


def _unwrapped(hint: Any) -> Any:
    return _unwrapped(hint.__origin__) if get_origin(hint) is Annotated else hint
