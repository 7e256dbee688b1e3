"""The page of a prompt over ASGI, with a peer in place of the model: states, addresses, numbers, refusals."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from starlette.testclient import TestClient

from app import extras
from app.services.prompts import page as prompt_pages
from app.services.prompts.page import PromptService
from app.services.prompts.process import PromptProcess
from app.services.prompts.queue import PromptLimits, PromptQueue
from app.settings import Settings
from app.web.factory import create_app
from app.web.routes import prompt
from tests.support import fake_prompt_worker
from tests.support.json_schema import check
from tests.support.serving import HOSTS
from tests.support.soups import soup

FAKE = (sys.executable, fake_prompt_worker.__file__)
TEXT = "the quick brown fox jumps over it"


@pytest.fixture
def service() -> PromptService:
    queue = PromptQueue(PromptLimits(job_s=10, n_waiting=1), lambda: PromptProcess(FAKE))
    return PromptService(queue, "", "cache")


@pytest.fixture
def trying(store: str, service: PromptService, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """A served store whose texts go to the peer; pages wait long enough for its answers."""
    monkeypatch.setattr(prompt_pages.prompt_page, "__defaults__", (10.0,))
    app = create_app(Settings(store=store, allowed_hosts=HOSTS))
    app.state.prompt_service = service
    with TestClient(app, follow_redirects=False) as client:
        yield client


def page(client: TestClient, **query: object) -> BeautifulSoup:
    response = client.get("/tiny/prompt", params={name: str(value) for name, value in query.items()})
    assert response.status_code == 200
    return soup(response.text)


@pytest.mark.parametrize(
    ("settings", "runs"),
    [
        ({}, True),
        ({"host": "localhost"}, True),
        ({"team": True}, False),
        ({"host": "0.0.0.0"}, False),  # noqa: S104
        ({"prompts": False}, False),
        ({"team": True, "prompts": True}, True),
    ],
)
def test_texts_are_run_for_this_machines_own_user_unless_said_otherwise(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], runs: bool
) -> None:
    monkeypatch.delenv("HEAD_ATLAS_PROMPTS")
    assert Settings(**settings).runs_prompts == runs


def test_where_it_is_off_it_says_so(client: TestClient) -> None:
    shown = client.get("/tiny/prompt", params={"text": TEXT})
    assert shown.status_code == 200
    assert "Not available here" in shown.text
    assert "--prompts" in shown.text
    assert not soup(shown.text).select("textarea")
    assert client.get("/tiny/prompt.json", params={"text": TEXT}).json()["state"] == "unavailable"


def test_without_the_model_libraries_it_says_so(
    store: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "sae_lens" else name)
    lacking = prompt.make_prompt_service(Settings(store=store, prompts=True))
    assert (lacking.queue, lacking.reason) == (None, prompt.NO_EXTRA)
    monkeypatch.setattr(extras, "find_spec", lambda name: name)
    ready = prompt.make_prompt_service(
        Settings(store=store, prompts=True, prompt_seconds=7, prompt_queue=3, cache_dir=tmp_path)
    )
    assert ready.queue is not None
    assert ready.queue.limits == PromptLimits(7, 3)
    assert ready.cache_dir == str(tmp_path)


def test_the_form_is_there_and_needs_no_script(trying: TestClient) -> None:
    shown = page(trying)
    form = shown.select_one("form.prompt-form")
    assert form is not None
    assert form["action"] == "/tiny/prompt"
    assert {field["name"] for field in form.select("[name]")} == {"text", "at"}
    aimed = page(trying, head="L0H1")
    assert aimed.select_one("input[name=at]")["value"] == "L0H1"  # type: ignore[index]
    assert len(aimed.select("ul.sample-texts a")) == 3
    for link in aimed.select("ul.sample-texts a"):
        assert str(link["href"]).endswith("&head=L0H1")
        assert trying.get(str(link["href"])).status_code == 200


@pytest.mark.parametrize(
    ("asked", "address"),
    [
        ("?text=a+b&at=L0H1", "?text=a+b&head=L0H1"),
        ("?text=a+b&at=0.1", "?text=a+b&head=L0H1"),
        ("?text=a+b&at=L0F3", "?text=a+b&feature=L0F3"),
        ("?text=a+b&at=", "?text=a+b"),
        ("?text=a%0D%0Ab&head=&dest=", "?text=a%0Ab"),
        ("?text=a+b&head=L0H1&feature=L0F3&dest=2&dest=1", "?text=a+b&head=L0H1&feature=L0F3&dest=1"),
        ("?text=a+b&head=l0h1&feature=l0f3&head=L0H2", "?text=a+b&head=L0H2&feature=L0F3"),
    ],
)
def test_forms_lead_to_one_address(trying: TestClient, asked: str, address: str) -> None:
    response = trying.get("/tiny/prompt" + asked)
    assert response.status_code == 307
    assert response.headers["Location"] == "/tiny/prompt" + address
    assert trying.get(response.headers["Location"]).status_code == 200


def test_the_page_shows_the_answer(trying: TestClient) -> None:
    value = trying.get("/tiny/prompt.json", params={"text": TEXT, "feature": "L0F3", "dest": "4"}).json()
    schemas = trying.get("/openapi.json").json()["components"]["schemas"]
    assert check(value, schemas["PromptPage"], schemas) == []
    reading = value["reading"]
    assert (value["state"], reading["head"], reading["feature"], reading["dest"]) == (
        "answered", "L0H1", "L0F3", 4
    )  # fmt: skip
    assert [token["position"] for token in reading["tokens"]] == list(range(8))
    total = sum(head["contribution"] for head in reading["heads"]) + reading["bias"]
    assert total == pytest.approx(reading["pre_activation"])
    assert reading["head_contribution"] + reading["others_contribution"] + reading["bias"] == pytest.approx(
        reading["pre_activation"]
    )
    for head in reading["heads"]:
        assert sum(head["dfa"]) == pytest.approx(head["contribution"])
    mine = reading["heads"][1]
    assert mine["pair"]["example"]["source_dfa"] == max(mine["dfa"])
    assert mine["pair"]["reads"]["after"][0]["value"] == max(mine["dfa"])
    shown = sum(source["dfa"] for source in reading["sources"]) + reading["sources_rest"]
    assert shown == pytest.approx(mine["contribution"])
    assert [item["stored"] for item in reading["active"]] == [True, True, False]
    assert reading["most_attended"] == 3

    drawn = page(trying, text=TEXT, feature="L0F3", dest=4)
    tokens = drawn.select(".tokens button")
    assert len(tokens) == 8
    assert [button["value"] for button in tokens if button.has_attr("aria-current")] == ["4"]
    assert len(drawn.select("table.dfa tbody tr")) == 4
    assert len(drawn.select("ol.named > li")) == 4
    assert drawn.select("svg.attention path.fill-read-8")
    assert not drawn.select("[style]")
    assert drawn.select_one('a[href="/tiny/features/L0F3?head=L0H1"]')


def test_the_buttons_ask_for_one_thing_else(trying: TestClient) -> None:
    drawn = page(trying, text=TEXT, head="L0H1")
    look = drawn.select_one("form#look")
    assert look is not None
    fields = [(str(field["name"]), str(field["value"])) for field in look.select("input")]
    for button in (
        drawn.select(".tokens button")[2],
        drawn.select("table.dfa button")[3],
        drawn.select(".active-features button")[1],
    ):
        sent = trying.get("/tiny/prompt", params=[*fields, (str(button["name"]), str(button["value"]))])
        assert sent.status_code == 307
        there = soup(trying.get(sent.headers["Location"]).text)
        name, value = button["name"], button["value"]
        assert there.select_one(f'button[name="{name}"][value="{value}"][aria-current]')
        changed = {(str(field["name"]), str(field["value"])) for field in there.select("form#look input")}
        assert changed - set(fields) == {(name, value)}


def test_a_head_without_features_shows_its_attention(trying: TestClient) -> None:
    for query in ({"head": "L1H2"}, {"head": "L0H1", "text": "nothing here"}):
        drawn = page(trying, **{"text": TEXT, **query})
        assert drawn.select("svg.attention")
        assert not drawn.select("table.dfa")
        assert "feature" in drawn.select_one("section.current p").get_text()  # type: ignore[union-attr]


def test_a_slow_answer_has_a_page_that_asks_again(
    trying: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompt_pages.prompt_page, "__defaults__", (0.0,))
    address = "/tiny/prompt?text=slow+text&head=L0H1"
    waiting = trying.get(address)
    assert (waiting.status_code, waiting.headers["Refresh"]) == (202, "2")
    assert waiting.headers["Cache-Control"] == "no-store"
    assert "takes some seconds" in waiting.text
    assert trying.get("/tiny/prompt.json?text=slow+text&head=L0H1").status_code == 202
    second = trying.get("/tiny/prompt?text=slow+too&head=L0H1")
    assert "1 text before this one" in second.text
    full = trying.get("/tiny/prompt.json?text=a+third&head=L0H1").json()
    assert (full["state"], full["problem"]) == (
        "failed",
        "1 texts wait for the model already; try again in a moment",
    )
    deadline = time.monotonic() + 30
    while (answered := trying.get(address)).status_code == 202 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert answered.status_code == 200
    assert "Refresh" not in answered.headers


@pytest.mark.parametrize(
    ("text", "problem"),
    [("refuse", "not to be read"), ("crash", "ended unexpectedly"), ("x " * 2100, "at most 4000 are read")],
)
def test_a_failure_is_a_sentence_and_the_next_text_is_read(
    trying: TestClient, text: str, problem: str
) -> None:
    failed = trying.get("/tiny/prompt", params={"text": text, "head": "L0H1"})
    assert failed.status_code == 200
    assert problem in failed.text
    assert failed.headers["Cache-Control"] == "no-store"
    assert page(trying, text=TEXT, head="L0H1").select(".tokens button")


@pytest.mark.parametrize(
    "query", ["at=x", "head=L9H9", "feature=L1F3", "feature=L0F9999999", "head=L2H1&feature=L0F3", "dest=-1"]
)
def test_what_the_model_does_not_have_is_not_found(trying: TestClient, query: str) -> None:
    assert trying.get(f"/tiny/prompt.json?text=a&{query}").status_code == 404


def test_another_site_cannot_make_it_work_unseen(trying: TestClient) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"}
    assert trying.get("/tiny/prompt?text=a", headers=headers).status_code == 403
    assert (
        trying.get("/tiny/prompt?text=a", headers={**headers, "Sec-Fetch-Dest": "document"}).status_code
        == 200
    )


def test_text_is_escaped(trying: TestClient) -> None:
    text = '</textarea><script>alert(1)</script> "&lt;'
    drawn = page(trying, text=text, head="L0H1")
    assert drawn.select_one("textarea").get_text().strip() == text  # type: ignore[union-attr]
    assert drawn.select_one("form#look input[name=text]")["value"] == text  # type: ignore[index]
    assert not [script for script in drawn.select("script") if not script.has_attr("src")]


def test_a_full_context_stays_light(trying: TestClient) -> None:
    response = trying.get("/tiny/prompt", params={"text": "w " * 127, "head": "L0H1"})
    assert len(response.content) < 100_000


def test_the_server_with_prompts_on_imports_no_torch(store: str) -> None:
    script = (
        "import sys\n"
        "from app.settings import Settings\n"
        "from app.web.factory import create_app\n"
        "from starlette.testclient import TestClient\n"
        f"app = create_app(Settings(store={store!r}, prompts=True, allowed_hosts=('testserver',)))\n"
        "assert app.state.prompt_service.queue is not None\n"
        "with TestClient(app) as client:\n"
        "    assert client.get('/tiny/prompt').status_code == 200\n"
        "assert not [name for name in sys.modules if name.partition('.')[0] in ('torch', 'transformers', 'sae_lens')]\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
