"""Pages kept in memory: built once for all who may see the same of them, and never shown to anyone else."""

import gzip
import threading
from contextlib import ExitStack
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from app.domain.records import JobProgress
from app.domain.refs import HeadRef
from app.store.atlas.progress import report_progress
from app.store.database.engine import open_store, write_session
from app.web import page_cache
from app.web.page_cache import QUICK, KeptPage, PageCache, PagesTakeLong, Place, State
from tests.support.annotated_atlas import NOW, labelled
from tests.support.annotated_site import SECRET, annotate
from tests.support.logins import logged_in
from tests.support.queries import counted, no_version
from tests.support.run_data import make_run, publish
from tests.support.serving import served

PATHS = (
    "/tiny",
    "/tiny.json",
    "/tiny/heads/L0H0",
    "/tiny/heads/L0H0.json",
    "/tiny/layers",
    "/tiny/features/L0F3",
)


def place_of(address):
    return Place("page", address, "ada")


def state_of(name):
    return State("run", name)


def test_the_last_used_pages_stay_and_a_page_larger_than_all_is_not_kept():
    size = len(gzip.compress(b"0", 9, mtime=0))
    cache = PageCache(2 * size)
    for name in "012":
        page = cache.keep(place_of(name), KeptPage.of(name.encode(), state_of("now")))
        assert gzip.decompress(page.compressed) == name.encode()
        cache.get(place_of("0"))
    assert [cache.get(place_of(name)) is not None for name in "012"] == [True, False, True]
    large = bytes(range(256))
    page = cache.keep(place_of("large"), KeptPage.of(large, state_of("now")))
    assert gzip.decompress(page.compressed) == large
    assert cache.get(place_of("large")) is None


def test_a_page_is_waited_for_by_those_who_ask_for_it_alone():
    cache, order = PageCache(), list[str]()

    def ask(address: str) -> None:
        with cache.turn(place_of(address), is_quick=False):
            order.append(address)

    with cache.turn(place_of("slow"), is_quick=False):
        others = [threading.Thread(target=ask, args=(f"other {n}",), daemon=True) for n in range(200)]
        same = [threading.Thread(target=ask, args=("slow",), daemon=True) for _ in range(2)]
        for thread in (*same, *others):
            thread.start()
        for thread in others:
            thread.join(10)
        assert sorted(order) == sorted(f"other {n}" for n in range(200))
    for thread in same:
        thread.join(10)
    assert order[200:] == ["slow", "slow"]
    assert cache._turns == {}  # it does not grow with every address that was ever asked for


def test_quick_pages_take_turns_a_few_at_a_time_and_wait_for_no_other():
    cache, lock, n, most = PageCache(), threading.Lock(), 0, 0
    all_are_in = threading.Barrier(QUICK.at_once)

    def ask(address: str) -> None:
        nonlocal n, most
        with cache.turn(place_of(address), is_quick=True):
            with lock:
                n += 1
                most = max(most, n)
            all_are_in.wait(10)  # so many are let in at once
            with lock:
                n -= 1

    with ExitStack() as slow:
        for number in range(QUICK.at_once + 1):
            slow.enter_context(cache.turn(place_of(f"slow {number}"), is_quick=False))
        threads = [
            threading.Thread(target=ask, args=(f"{number}",), daemon=True)
            for number in range(20 * QUICK.at_once)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert not any(thread.is_alive() for thread in threads)
    assert (n, most) == (0, QUICK.at_once)
    assert not all_are_in.broken


def test_a_quick_page_does_not_wait_for_ever_and_leaves_its_place(monkeypatch):
    monkeypatch.setattr(page_cache, "QUICK", replace(QUICK, wait_s=0.05))
    cache = PageCache()
    with ExitStack() as slow:
        for number in range(QUICK.at_once):
            slow.enter_context(cache.turn(place_of(f"slow {number}"), is_quick=True))
        for _ in range(2 * QUICK.altogether):
            with pytest.raises(PagesTakeLong, match="try again"), cache.turn(place_of("late"), is_quick=True):
                pass
    with cache.turn(place_of("late"), is_quick=True):
        pass
    assert cache._turns == {}


def test_a_page_that_cannot_be_built_leaves_its_turn_to_the_next():
    cache, place = PageCache(), place_of("broken")
    for _ in range(QUICK.at_once + 1):
        with pytest.raises(ZeroDivisionError), cache.turn(place, is_quick=True):
            1 / 0  # noqa: B018 - the error of a page
    assert cache._turns == {}  # it does not grow with every address that was ever asked for


def test_one_version_of_a_page_is_kept_with_the_last_state_in_which_it_holds():
    cache, place = PageCache(), place_of("/tiny")
    for version in range(50):
        cache.keep(place, KeptPage.of(b"page %d" % version, state_of(f"state {version}"), "part"))
    last = cache.get(place)
    assert last is not None
    assert (last.state, gzip.decompress(last.compressed)) == (state_of("state 49"), b"page 49")
    cache.keep(place, last._replace(state=state_of("later")))
    assert cache.get(place) == last._replace(state=state_of("later"))
    assert cache.get(place._replace(viewer="ben")) is None
    assert cache.get(place._replace(template="other")) is None


def test_a_tag_tells_pages_apart_and_is_the_same_for_the_same_page():
    tags = [KeptPage.of(text, state_of(str(at))).tag for at, text in enumerate((b"a", b"b", b"a"))]
    assert tags[0] == tags[2] != tags[1]


@pytest.mark.parametrize("path", PATHS)
def test_the_second_request_reads_only_what_its_tag_is_made_of(store, path):
    with TestClient(served(store)) as client:
        client.app.state.app_context.version = no_version
        first = client.get(path)
        with counted(client.app.state.app_context.engine) as statements:
            second = client.get(path)
        plain = client.get(path, headers={"Accept-Encoding": "identity"})
    assert len(statements) <= 4
    assert first.status_code == second.status_code == 200
    assert first.text == second.text == plain.text
    names = ("ETag", "Content-Type", "Cache-Control", "Vary", "Content-Encoding")
    assert {name: first.headers[name] for name in names} == {name: second.headers[name] for name in names}
    assert "Content-Encoding" not in plain.headers
    assert {"HX-Request", "Accept-Encoding"} <= {part.strip() for part in plain.headers["Vary"].split(",")}


def test_a_save_a_run_and_a_job_are_on_the_next_page(store):
    with TestClient(served(store)) as client:
        before = {path: client.get(path).text for path in ("/tiny", "/tiny/heads/L0H0")}
        engine = open_store(store)
        publish(engine, make_run(seed=2))
        after = {path: client.get(path).text for path in before}
        assert all(before[path] != after[path] for path in before)
        with write_session(engine) as session:
            report_progress(session, JobProgress("ab" * 32, "shards", 3, 12, "shards", 0.5, NOW))
        engine.dispose()
        assert client.get("/tiny").text != after["/tiny"]


def test_a_blind_annotator_never_gets_the_page_that_another_had_built(store, team):
    ada, ben = logged_in(team, "ada"), logged_in(team, "ben")
    for path in (*PATHS, "/tiny/annotations", "/tiny/heads/L0H0/annotation.json"):
        ada.get(path)
        assert SECRET not in ben.get(path).text, path
    assert SECRET in ada.get("/tiny/heads/L0H0").text
    annotate(store, "ben", labelled(0, *"ab" * 5), HeadRef(0, 0))
    assert SECRET in ben.get("/tiny/heads/L0H0").text
