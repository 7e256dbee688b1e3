"""Records with many saves: the history is shown a part at a time, and all of it can be read and restored."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from starlette.testclient import TestClient

from app.domain.annotations.records import HeadAnnotation, Subject
from app.domain.refs import HeadRef
from app.services.annotations.history import N_REVISIONS
from app.store import annotations
from app.store.annotations import get_atlas_id
from app.store.annotators import ensure_annotator
from app.store.database.engine import open_store, read_session, write_session
from app.store.histories import HistoryRange, read_history
from tests.support.annotated_atlas import draft, later
from tests.support.html_forms import HEAD, page_of
from tests.support.run_data import make_run, publish
from tests.support.serving import served

N = 2 * N_REVISIONS + 3


@dataclass(frozen=True)
class LongRecord:
    """A client of a server, and the local annotator's record of L0H1 with N saves of which each third is a draft."""

    client: TestClient
    store: str
    atlas_id: int
    annotator_id: int


@pytest.fixture
def record(make_store: Callable[..., str]) -> Iterator[LongRecord]:
    store = make_store()
    engine = open_store(store)
    publish(engine, make_run())
    with write_session(engine) as session:
        atlas_id, me = get_atlas_id(session, "tiny"), ensure_annotator(session, "me", later(0), "admin")
        for version in range(N):
            status = "submitted" if version % 3 else "draft"
            content = HeadAnnotation(notes=f"note {version + 1}")
            made = draft(me, content, version, Subject(HeadRef(0, 1)), status=status)
            annotations.save(session, atlas_id, made, later(version))
    engine.dispose()
    with TestClient(served(store), follow_redirects=False) as client:
        yield LongRecord(client, store, atlas_id, me.id)


def parts(client: TestClient, step: str, below: int | None = None) -> list[dict]:
    """All parts of the history in one direction, as JSON."""
    found: list[dict] = []
    while True:
        query = "" if below is None else f"?below={below}"
        found.append(client.get(f"{HEAD}/history.json{query}").json())
        below = found[-1][step]
        if below is None:
            return found


def versions(part: dict) -> list[int]:
    return [entry["record"]["version"] for entry in part["entries"]]


def test_every_save_is_in_one_part_and_changes_reach_across_their_borders(record: LongRecord) -> None:
    found = parts(record.client, "older")
    assert [len(part["entries"]) for part in found] == [N_REVISIONS, N_REVISIONS, 3]
    assert [version for part in found for version in versions(part)] == list(range(N, 0, -1))
    assert {(part["n_revisions"], part["newest"]) for part in found} == {(N, N)}
    for part in found:
        for entry in part["entries"]:
            version = entry["record"]["version"]
            [notes] = [change for change in entry["changes"] if change["field"] == "notes"]
            assert (f"note {version - 1}" in notes["before"]) == (version > 1)
            assert f"note {version}" in notes["after"]
    back = parts(record.client, "newer", found[-1]["entries"][0]["record"]["version"] + 1)
    assert [versions(part) for part in back[:-1]] == [versions(part) for part in found[:0:-1]]
    assert versions(back[-1]) == versions(found[0])


def test_a_page_links_to_what_is_newer_and_older(record: LongRecord) -> None:
    page = page_of(record.client, f"{HEAD}/history")
    assert len(page.select("article")) == N_REVISIONS
    assert f"{N_REVISIONS} of {N} here" in page.text
    assert not page.select("a[rel=prev]")
    seen = [page]
    while seen[-1].select("a[rel=next]"):
        seen.append(page_of(record.client, seen[-1].select_one("a[rel=next]")["href"]))
    assert [len(each.select("article")) for each in seen] == [N_REVISIONS, N_REVISIONS, 3]
    assert (
        page_of(record.client, seen[1].select_one("a[rel=prev]")["href"]).select("h2")[0].text
        == page.select("h2")[0].text
    )


def test_an_old_save_is_restored_from_an_old_part_on_top_of_the_newest(record: LongRecord) -> None:
    oldest = page_of(record.client, f"{HEAD}/history?below=3")
    form = oldest.select("article form")[-1]
    fields = {each["name"]: each["value"] for each in form.select("input")}
    assert fields == {"version": "1", "base_version": str(N)}
    answer = record.client.post(form["action"], data=fields, headers={"Origin": "http://testserver"})
    assert answer.status_code == 303
    newest = record.client.get(f"{HEAD}/history.json").json()["entries"][0]["record"]
    assert (newest["version"], newest["restored_from"], newest["content"]["notes"]) == (N + 1, 1, "note 1")
    fields |= {"version": "999", "base_version": str(N + 1)}
    assert (
        record.client.post(form["action"], data=fields, headers={"Origin": "http://testserver"}).status_code
        == 404
    )


def test_drafts_that_are_left_out_leave_no_gap(record: LongRecord) -> None:
    engine = open_store(record.store)
    shown = [version for version in range(N, 0, -1) if (version - 1) % 3]
    with read_session(engine) as session:
        below, seen = None, list[int]()
        while True:
            subject = Subject(HeadRef(0, 1))
            part = read_history(
                session,
                record.atlas_id,
                subject,
                record.annotator_id,
                HistoryRange(below, 10),
                with_drafts=False,
            )
            assert (part.total, part.newest) == (len(shown), shown[0])
            seen += [revision.version for revision in part.revisions]
            below = part.older
            if below is None:
                break
    engine.dispose()
    assert seen == shown


@pytest.mark.parametrize("below", ["0", "-1", "x", "99999999999"])
def test_what_is_no_version_is_refused(client: TestClient, below: str) -> None:
    assert client.get(f"{HEAD}/history?below={below}").status_code in (404, 422)
    assert client.get(f"{HEAD}/history.json?below={below}").status_code in (404, 422)


def test_below_the_first_version_there_is_nothing(record: LongRecord) -> None:
    part = record.client.get(f"{HEAD}/history.json?below=1").json()
    assert (part["entries"], part["older"], part["newer"]) == ([], None, N_REVISIONS + 1)
