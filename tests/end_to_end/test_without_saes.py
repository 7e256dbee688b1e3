"""An atlas of a tiny GPT-2 without any SAE: computed, read, annotated, compared, searched and exported."""

import re
import shutil
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from app.cli import app
from app.domain.refs import HeadRef
from app.precompute.request import RunOptions
from app.store.database.engine import open_store
from app.web.factory import JSON_ROUTES, PAGES
from app.web.static_site.writer import export_site
from tests.support.serving import served
from tests.support.soups import only, soup
from tests.support.tiny_jobs import N_HEADS, SLUG, Tiny, digest_of, run, write_text
from tests.support.tiny_models import save_tiny_gpt2

HEADS = [HeadRef(layer, head) for layer in (0, 1) for head in range(N_HEADS)]
ENDINGS = ("csv", "xlsx", "json", "parquet")
FORM = {"base_version": "0", "status": "draft", "k": "10", "ranking": "decoder_weight"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    root = tmp_path_factory.mktemp("bare")
    return Tiny(root, save_tiny_gpt2(root / "tiny-model"), (), write_text(root / "corpus.txt"))


@pytest.fixture(scope="module")
def store(tiny: Tiny) -> str:
    report = run(tiny, str(tiny.root / "store.sqlite"))
    assert "no SAE was given, so heads have scores and attention, but no features" in report
    return str(tiny.root / "store.sqlite")


@pytest.mark.slow
def test_it_is_the_same_in_two_processes_and_after_a_share(tiny: Tiny, store: str, tmp_path: Path) -> None:
    options = {"work_dir": tmp_path / "work"}
    run(tiny, str(tmp_path / "store.sqlite"), RunOptions(shard=(1, 2)), **options)
    run(tiny, str(tmp_path / "store.sqlite"), RunOptions(executor="processes", workers=2), **options)
    assert digest_of(tmp_path / "store.sqlite") == digest_of(Path(store))


def test_every_page_is_there(store: str) -> None:
    with TestClient(served(store)) as client:
        for path in (
            "",
            "?colour=type",
            "/compare?heads=L0H1,L1H2",
            "/layers",
            "/annotations",
            "/search?q=L1H2",
        ):
            answer = client.get(f"/{SLUG}{path}")
            assert answer.status_code == 200, path
        for head in HEADS:
            page = soup(client.get(f"/{SLUG}/heads/{head}").text)
            article = only(page.select("article.attention"))
            assert len(article.select("ol.examples > li")) == 10
            assert article.select("#pattern path")
        found = client.get(f"/{SLUG}/search.json?q=score:entropy>0").json()
        assert sorted(each["head"] for each in found["heads"]) == sorted(str(head) for head in HEADS)


def labels_of(page: str) -> list[str]:
    return [str(field["name"]) for field in soup(page).select(".grouped-example [name^='label:']")]


def test_examples_of_a_head_are_grouped_and_the_files_bring_them_back(store: str, tmp_path: Path) -> None:
    bare = tmp_path / "bare.sqlite"
    shutil.copyfile(store, bare)
    path = f"/{SLUG}/heads/L0H1"
    said = FORM | {"override": "bisemantic", "override_reason": "groups of its examples"}
    groups = {"group_name": ["commas", "names"], "group_family": ["GR", "IN"]}
    groups |= {"group_abstraction": ["token", "concept"]}
    with TestClient(served(store), follow_redirects=False) as client:
        fields = labels_of(client.get(path).text)
        assert len(fields) == 10
        values = dict(zip(fields, "1121111112", strict=True))
        assert (
            client.post(
                f"{path}/annotation", data={**said, **groups, **values, "action": "submit"}
            ).status_code
            == 303
        )
        record = client.get(f"{path}/annotation.json").json()["record"]
        assert (record["status"], record["head_type"]) == ("submitted", "bisemantic")
        assert [f"label:{each['feature']}" for each in record["content"]["labels"]] == fields
        assert [each["group"] for each in record["content"]["labels"]].count("names") == 2
        assert "commas 8 (token), names 2 (concept)" in client.get(f"/{SLUG}/annotations/publish").text
        found = client.get(f"/{SLUG}/search.json?q=group:commas").json()["heads"]
        assert [each["head"] for each in found] == ["L0H1"]
        read = client.get(f"{path}/attention.json").json()["evidence"]["read"]
        found = client.get(f"/{SLUG}/search.json", params={"q": f'attends:"{read[0]["text"]}"'}).json()[
            "heads"
        ]
        assert "L0H1" in [each["head"] for each in found]
        assert client.get(f"/{SLUG}/compare?heads=L0H1,L1H2").status_code == 200
        files = {ending: client.get(f"/{SLUG}/annotations.{ending}").content for ending in ENDINGS}
    for ending, data in files.items():
        other = tmp_path / f"{ending}.sqlite"
        shutil.copyfile(bare, other)
        sheet = tmp_path / f"sheet.{ending}"
        sheet.write_bytes(data)
        command = ["import", "annotations", str(sheet), "--model", SLUG, "--store", str(other), "--apply"]
        answer = CliRunner().invoke(app, command)
        assert re.search(r"0 changed, \d+ unchanged, 0 wrong", answer.output), answer.output
        with TestClient(served(str(other))) as client:
            assert client.get(f"/{SLUG}/annotations.{ending}").content == data


PLACES = {"model": SLUG, "head": "L1H2", "layer": "1", "feature": "L1F0"}


def test_no_address_of_it_fails(store: str) -> None:
    """Whatever asks for features that are not there: an answer, or a 404 that says so."""
    routers = [each.router for each in JSON_ROUTES] + [each.pages for each in PAGES]
    paths = {route.path for router in routers for route in router.routes if "GET" in route.methods}
    with TestClient(served(store)) as client:
        statuses = {
            path: client.get(re.sub(r"{(\w+)[^}]*}", lambda name: PLACES.get(name[1], "0"), path)).status_code
            for path in paths
        }
    assert {path: status for path, status in statuses.items() if status >= 500} == {}
    assert sum(status == 200 for status in statuses.values()) > len(statuses) / 2


def test_a_head_is_annotated_and_exported(store: str, tmp_path: Path) -> None:
    with TestClient(served(store), follow_redirects=False) as client:
        page = soup(client.get(f"/{SLUG}/heads/L1H2").text)
        cite = page.select("article.attention button.cite-example")[0]["value"]
        said = {
            "override": "monosemantic",
            "override_reason": "one job in all examples",
            "roles": "previous token",
        }
        form = {**FORM, **said, "action": cite}
        answer = client.post(f"/{SLUG}/heads/L1H2/annotation", data=form)
        assert answer.status_code == 303, answer.text
        record = client.get(f"/{SLUG}/heads/L1H2/annotation.json").json()["record"]
        target = cite.removeprefix("cite:example:")
        assert record["content"]["evidence"][0]["target"] == target
        form |= {"base_version": str(record["version"]), "action": "submit"}
        form |= {
            "evidence_kind": "example",
            "evidence_target": target,
            "evidence_note": "reads the token before",
        }
        assert client.post(f"/{SLUG}/heads/L1H2/annotation", data=form).status_code == 303
        text = client.get(f"/{SLUG}/annotations.csv").text
        assert "plausibly monosemantic" in text or "monosemantic" in text
        assert "reads the token before" in text
        assert client.get(f"/{SLUG}/annotations.xlsx").status_code == 200
        assert client.get(f"/{SLUG}.json").json()["n_heads"] == N_HEADS
    out = tmp_path / "site"
    export_site(open_store(store), SLUG, out)
    head = soup((out / "heads" / "L1H2.html").read_text())
    assert only(head.select("article.attention")).select("#pattern path")
    assert "reads the token before" in head.get_text()
    assert soup((out / "heads" / "L0H0.attention.html").read_text()).select(
        "article.attention ol.examples > li"
    )
