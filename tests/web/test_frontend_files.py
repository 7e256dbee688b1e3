"""Templates, styles and scripts: the rules that a reader cannot see on the page."""

import base64
import hashlib
import re
from pathlib import Path

import pytest
from jinja2 import Environment
from starlette.testclient import TestClient

from app.paths import frontend_dir
from app.web.links import StaticFiles
from app.web.render import Renderer
from app.web.scripts import sent_content
from tests.support.serving import served


def test_the_vendored_htmx_is_the_documented_one() -> None:
    vendor = frontend_dir() / "static" / "vendor"
    digest = base64.b64encode(hashlib.sha384((vendor / "htmx.min.js").read_bytes()).digest()).decode()
    assert f"sha384-{digest}" in (vendor / "README.md").read_text()


def test_scripts_are_sent_without_comments_and_indents_and_as_their_digests_say(store: str) -> None:
    static = frontend_dir() / "static"
    with TestClient(served(store)) as client:
        for path in static.glob("**/*.js"):
            name = path.relative_to(static).as_posix()
            answer = client.get(f"/static/{name}")
            digest = base64.b64encode(hashlib.sha256(answer.content).digest()).decode()
            assert StaticFiles(static).integrity(name) == f"sha256-{digest}"
            whole = [line.lstrip() for line in path.read_text().splitlines()]
            lines = [line for line in whole if line and not line.startswith("//")]
            if "vendor" in name:
                assert answer.text.splitlines() == path.read_text().splitlines()
            elif not any(line.startswith(("import ", "export ")) for line in lines):
                assert answer.text.splitlines() == lines
            if "vendor" not in name:  # an indent in a text over several lines would be lost
                assert not [line for line in lines if line.count("`") % 2]
            again = client.get(f"/static/{name}", headers={"If-None-Match": answer.headers["ETag"]})
            assert again.status_code == 304


def test_a_script_that_imports_others_goes_out_with_them_inside_once_and_before_it() -> None:
    scripts = frontend_dir() / "static" / "js"
    sent = sent_content(scripts / "annotate.js").decode()
    assert not re.findall(r"^(?:import|export)\b.*", sent, re.MULTILINE)
    places: dict[str, int] = {}
    for path in scripts.glob("*.js"):
        text = path.read_text()
        if re.search(r"^export ", text, re.MULTILINE):
            [places[path.stem]] = [
                found.start() for found in re.finditer(f"^const {path.stem}Module", sent, re.MULTILINE)
            ]
            last = text.splitlines()[-1].removeprefix("export ")
            assert f"{last}\nreturn {{" in sent
            for name in re.findall(
                r"^export (?:async )?(?:const|function|class) ([\w$]+)", text, re.MULTILINE
            ):
                assert re.search(
                    rf"^return {{.*(?<![\w$]){re.escape(name)}(?![\w$]).*}};$", sent, re.MULTILINE
                )
    assert len(places) > 8
    for name, place in places.items():
        for other in re.findall(r' from "\./([a-z]+)\.js";', (scripts / f"{name}.js").read_text()):
            assert places[other] < place


def test_c11_the_environment_escapes_in_every_file() -> None:
    environment: Environment = Renderer(frontend_dir()).environment
    assert environment.autoescape is True
    assert environment.from_string("{{ x }}").render(x="<&'\">") == "&lt;&amp;&#39;&#34;&gt;"


@pytest.mark.parametrize("path", sorted(frontend_dir().rglob("*.html")), ids=lambda path: path.name)
def test_templates_keep_the_rules(path: Path) -> None:
    text = path.read_text()
    for forbidden in (
        "|safe",
        "| safe",
        "style=",
        "hx-on",
        "js:",
        "javascript:",
        "http://",
        "https://",
        "Markup",
    ):
        assert forbidden not in text, forbidden
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"""<[a-z][^>]*\s[a-z-]+=[^"'\s>]""", re.sub(r"(?s){[{%#].*?[}%#]}", "", text)), (
        "unquoted attribute"
    )


def test_e28_pages_link_styles_and_scripts_that_exist_and_stay_at_home() -> None:
    static = frontend_dir() / "static"
    styles = [path.read_text() for path in static.glob("css/*.css")]
    linked = re.compile(r'(?:stylesheet|script)\("((?:css|js)/[a-z]+\.(?:css|js))"')
    layout = set(linked.findall((frontend_dir() / "templates/layouts/page.html").read_text()))
    assert len(layout) == 4
    for page in (frontend_dir() / "templates/pages").glob("*.html"):
        assert all((static / name).is_file() for name in layout | set(linked.findall(page.read_text()))), page
    assert not [text for text in styles if "url(" in text or "@import" in text]
