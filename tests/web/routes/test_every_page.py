"""Every page: with and without htmx, and what its template is given."""

from dataclasses import fields
from typing import Any

import pytest
from fastapi import FastAPI
from jinja2 import meta, nodes
from starlette.testclient import TestClient

from app.domain.refs import HeadRef
from app.paths import frontend_dir
from app.web.render import Renderer
from tests.support.pages import PAGES, TEMPLATES
from tests.support.response_sizes import MAX_HTML
from tests.support.run_data import StoredRun
from tests.support.soups import HTMX, only, soup


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "htmx"])
@pytest.mark.parametrize(
    "path", [path for path in PAGES if not any(part in path for part in ("open=", "/card", "/attention"))]
)
def test_pages_are_whole(client: TestClient, path: str, headers: dict[str, str]) -> None:
    response = client.get(path, headers=headers)
    assert response.status_code == 200, response.text
    page = soup(response.text)
    only(page.find_all("main"))
    only(page.find_all("h1"))
    # Browsers that know how wait for all of it, so that half a page is never laid out.
    assert only(page.select("link[rel=expect][blocking=render]"))["href"] == "#keys"
    assert page.select("body > *")[-1]["id"] == "keys"  # so all of the page is there when it is painted
    assert response.headers["Vary"] == "HX-Request, Accept-Encoding"
    assert int(response.headers["Content-Length"]) <= MAX_HTML


@pytest.mark.parametrize(("path", "name"), PAGES.items())
def test_templates_get_the_documented_fields_and_no_more(
    app: FastAPI, client: TestClient, monkeypatch: pytest.MonkeyPatch, path: str, name: str
) -> None:
    given: list[tuple[str, set[str]]] = []
    renderer: Renderer = app.state.app_context.renderer
    load = renderer.environment.get_template

    class Spy:
        def __init__(self, name: str) -> None:
            self.name = name

        def render(self, context: dict[str, object]) -> str:
            given.append((self.name, set(context)))
            return load(self.name).render(context)

    def spy(name: str, parent: str | None = None, **rest: Any) -> Any:
        # Templates that others extend or include are asked for with their parent.
        return load(name, parent, **rest) if parent or given else Spy(name)

    monkeypatch.setattr(renderer.environment, "get_template", spy)
    assert client.get(path).status_code == 200
    [(template, keys)] = given
    page = TEMPLATES[template]
    assert page.__name__ == name
    assert keys == {field.name for field in fields(page)}


@pytest.mark.parametrize(("template", "page"), TEMPLATES.items())
def test_templates_use_documented_fields_only(template: str, page: type) -> None:
    environment = Renderer(frontend_dir()).environment
    known = {field.name for field in fields(page)} | set(environment.globals)

    used: set[str] = set()

    def walk(name: str) -> None:
        assert environment.loader is not None
        tree = environment.parse(environment.loader.get_source(environment, name)[0])
        used.update(meta.find_undeclared_variables(tree))
        known.update(str(part) for found in tree.find_all(nodes.FromImport) for part in found.names)
        known.update(part.name for part in tree.find_all(nodes.Name) if part.ctx == "store")
        known.update(macro.name for macro in tree.find_all(nodes.Macro))
        for other in meta.find_referenced_templates(tree):
            if other and not other.startswith("macros/"):
                walk(other)

    walk(template)
    assert used - known == set()


def test_a_history_restore_gets_the_page(client: TestClient, run: StoredRun) -> None:
    ref = run.rankings[HeadRef(0, 1), "decoder_weight"].features[2].ref
    headers = {**HTMX, "HX-History-Restore-Request": "true"}
    assert soup(client.get(f"/tiny/heads/L0H1?open={ref}", headers=headers).text).find("main")


def test_the_sheet_names_every_key(client: TestClient) -> None:
    sheet = only(soup(client.get("/tiny").text).select("dialog#keys"))
    named = {key.text for key in sheet.select("kbd")}
    for path in (
        "/tiny",
        "/tiny/heads/L0H1",
        "/tiny/features/L0F3",
        "/tiny/compare?heads=L0H1,L0H3",
        "/tiny/search",
    ):
        page = soup(client.get(path).text)
        keys = {str(link["data-key"]) for link in page.select("[data-key]")}
        assert {key for key in keys if not key.isdigit()} <= named
        assert {key.text for key in page.select(".status kbd") if not key.text.isdigit()} <= named
