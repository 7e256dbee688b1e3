"""Which document an example is from: below every list of examples, with its whole text, and in JSON."""

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from app.store.database.engine import open_store, write_session
from app.store.tables.atlas import SequenceRow
from tests.support.corpus_documents import DATASETS
from tests.support.run_data import StoredRun
from tests.support.serving import served
from tests.support.soups import soup

LISTS = (
    "/tiny/heads/L0H1",
    "/tiny/features/L0F3",
    "/tiny/heads/L0H1/attention",
    "/tiny/compare?heads=L0H0,L0H1",
)


def label_of(run: StoredRun, example: dict[str, int]) -> str:
    """As tests.support.corpus_documents has it."""
    index = example["sequence"]
    in_first = example["position"] < max(2, run.sequences.shape[1] // 2)
    return f"prose {index + 1}" if in_first else f"python-docs topic-{index % 7}"


def notes(text: str) -> list[str]:
    return [
        " ".join(note.text.split()) for note in soup(text).select(".footnote") if "Documents" in note.text
    ]


def test_a_list_of_examples_says_in_order_whose_texts_they_are(client: TestClient, run: StoredRun) -> None:
    [note] = notes(client.get("/tiny/heads/L0H1").text)
    twin = client.get("/tiny/heads/L0H1.json").json()
    assert twin["run"]["datasets"] == DATASETS
    row = twin["features"][0]
    expected = [label_of(run, example) for example in row["examples"][:10]]
    assert f"Documents, in order: {'; '.join(expected)}." in note
    strongest = [row["strongest"] for row in twin["features"]]
    for pair in strongest:
        dataset, _, rest = label_of(run, pair["example"]).partition(" ")
        number, name = pair["example"]["sequence"] + 1, None if dataset == "prose" else rest
        assert pair["document"] == {
            "dataset": "prose.jsonl" if dataset == "prose" else dataset,
            "number": number,
            "name": name,
        }


def test_every_group_of_a_feature_and_a_whole_text_say_it(client: TestClient, run: StoredRun) -> None:
    groups = client.get("/tiny/features/L0F3.json").json()["groups"]
    labels = [[label_of(run, pair["example"]) for pair in group["pairs"]] for group in groups]
    assert notes(client.get("/tiny/features/L0F3").text) == [
        f"Documents, in order: {'; '.join(group)}." for group in labels if group
    ]
    place = groups[0]["pairs"][0]["example"]
    whole = client.get(f"/tiny/features/L0F3?open={place['sequence']}.{place['position']}").text
    heading = soup(whole).select(".whole-example h4")[0].text
    assert f"{labels[0][0]}, text {place['sequence']}, token {place['position']}" in " ".join(heading.split())


def test_a_page_of_many_features_leaves_names_to_whole_texts(client: TestClient) -> None:
    assert notes(client.get("/tiny/heads/L0H1").text)
    assert not notes(client.get("/tiny/heads/L0H1?k=20").text)


def test_the_one_data_set_of_a_list_is_named_once(store: str) -> None:
    engine = open_store(store)
    with write_session(engine) as session:
        session.execute(update(SequenceRow).values(documents=[[1, 0, 4, "letter: a lamp, and its shade"]]))
    engine.dispose()
    with TestClient(served(store)) as client:
        row = client.get("/tiny/heads/L0H1.json").json()["features"][0]
        places = "; ".join(["letter: a lamp, and its shade"] * len(row["examples"][:10]))
        [note] = notes(client.get("/tiny/heads/L0H1").text)
        assert f"Documents of prose, in order: {places}." in note


@pytest.mark.parametrize("path", LISTS)
def test_older_runs_say_nothing_of_documents(store: str, client: TestClient, path: str) -> None:
    assert notes(client.get(path).text)
    engine = open_store(store)
    with write_session(engine) as session:
        session.execute(update(SequenceRow).values(documents=None))
    engine.dispose()
    with TestClient(served(store)) as older:
        answer = older.get(path)
        assert answer.status_code == 200
        assert not notes(answer.text)
        assert not soup(answer.text).select("ol + p.footnote:empty")
