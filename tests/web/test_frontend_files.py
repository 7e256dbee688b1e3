"""Templates, styles and scripts: the rules that a reader cannot see on the page."""

import base64
import hashlib
import re
from pathlib import Path

import pytest
from jinja2 import Environment

from app.paths import frontend_dir
from app.web.render import Renderer


def test_the_vendored_htmx_is_the_documented_one() -> None:
    vendor = frontend_dir() / "static" / "vendor"
    digest = base64.b64encode(hashlib.sha384((vendor / "htmx.min.js").read_bytes()).digest()).decode()
    assert f"sha384-{digest}" in (vendor / "README.md").read_text()


def test_the_environment_escapes_in_every_file() -> None:
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
    assert not re.search(r"""<[a-z][^>]*\s[a-z-]+=[^"'\s>]""", re.sub(r"{[{%#].*?[}%#]}", "", text)), (
        "unquoted attribute"
    )


def test_pages_link_styles_and_scripts_that_exist_and_stay_at_home() -> None:
    static = frontend_dir() / "static"
    styles = [path.read_text() for path in static.glob("css/*.css")]
    linked = re.compile(r'(?:stylesheet|script)\("((?:css|js)/[a-z]+\.(?:css|js))"')
    layout = set(linked.findall((frontend_dir() / "templates/layouts/page.html").read_text()))
    assert len(layout) == 4
    for page in (frontend_dir() / "templates/pages").glob("*.html"):
        assert all((static / name).is_file() for name in layout | set(linked.findall(page.read_text()))), page
    assert not [text for text in styles if "url(" in text or "@import" in text]
