"""Pages say for how many places an example stands, and from what its list was picked; of older runs nothing."""

from dataclasses import replace

import numpy as np
from starlette.testclient import TestClient

from app.domain.refs import FeatureRef
from app.store.database.engine import open_store
from tests.support.run_data import StoredRun, make_run, publish
from tests.support.serving import served
from tests.support.soups import soup

REF = FeatureRef(0, 3)


def with_pool(run: StoredRun, n_alike: int | None, n_pool: int) -> StoredRun:
    """The run with so many places for each example of one feature, whose lists come from so many texts."""
    record = run.features[REF]
    examples = record.examples
    assert examples is not None
    counts = None if n_alike is None else np.full(len(examples), n_alike)
    groups = tuple(replace(group, n_pool=n_pool) for group in record.groups)
    changed = replace(record, examples=replace(examples, n_alike=counts), groups=groups)
    return replace(run, features={**run.features, REF: changed})


def marks_and_text(store: str, n_alike: int | None, n_pool: int) -> tuple[set[str], str, int | None]:
    engine = open_store(store)
    publish(engine, with_pool(make_run(), n_alike, n_pool))
    engine.dispose()
    with TestClient(served(store)) as client:
        page = soup(client.get(f"/tiny/features/{REF}").text)
        example = client.get(f"/tiny/features/{REF}.json").json()["groups"][0]["pairs"][0]["example"]
    marks = {mark.get_text(strip=True) for mark in page.select(".activation i")}
    return marks, page.get_text(" ", strip=True), example["n_alike"]


def test_an_example_says_for_how_many_places_it_stands(store: str) -> None:
    marks, text, in_json = marks_and_text(store, 1234, 40)
    assert marks == {"×1,234"}
    assert in_json == 1234
    assert "of 40 texts" in text
    assert "No two examples of a group are alike" in text


def test_an_example_that_is_alone_has_no_mark(store: str) -> None:
    assert marks_and_text(store, 1, 40)[0] == set()


def test_a_run_from_before_says_nothing_of_it(store: str) -> None:
    marks, text, in_json = marks_and_text(store, None, 0)
    assert marks == set()
    assert in_json is None
    assert "alike" not in text
