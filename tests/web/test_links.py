"""Links of templates: on a server the URL, on a disk the file, and where there is neither nothing."""

import pytest
from jinja2 import Environment

from app.paths import frontend_dir
from app.web.render import Renderer

FILES = {
    "/a?b=1&c=2": "a.html",
    "/static/css/theme.css": "static/css/theme.css",
    "/static/js/app.js": "app.js",
}
NAV = '{% from "macros/links.html" import link_or_nothing %}{{ link_or_nothing(url, "words", class="link") }}'


@pytest.fixture(scope="module")
def server() -> Environment:
    return Renderer(frontend_dir()).environment


@pytest.fixture(scope="module")
def disk() -> Environment:
    return Renderer(frontend_dir(), address_of=lambda url: FILES.get(url.partition("?v=")[0])).environment


def written(environment: Environment, template: str, **values: str) -> str:
    return " ".join(environment.from_string(template).render(**values).split())


def test_a_link_is_the_url_on_a_server_and_the_file_on_a_disk(server: Environment, disk: Environment) -> None:
    link = "<a {{ href(url) }}>words</a>"
    assert written(server, link, url="/a?b=1&c=2") == '<a href="/a?b=1&amp;c=2">words</a>'
    assert written(server, link, url='/"><b>') == '<a href="/&#34;&gt;&lt;b&gt;">words</a>'
    assert written(disk, link, url="/a?b=1&c=2") == '<a href="a.html">words</a>'


def test_without_a_file_a_link_is_text_and_an_optional_one_is_left_out(
    server: Environment, disk: Environment
) -> None:
    assert written(disk, "<a {{ href(url) }}>words</a>", url="/other") == "<a >words</a>"
    assert written(disk, NAV, url="/other") == ""
    assert written(disk, NAV, url="/a?b=1&c=2") == '<a class="link" href="a.html" >words</a>'
    assert written(server, NAV, url="/other") == '<a class="link" href="/other" >words</a>'


def test_files_are_pinned_by_a_server_alone(server: Environment, disk: Environment) -> None:
    style, script = '{{ stylesheet("css/theme.css") }}', '{{ script("js/app.js", defer=true) }}'
    pinned = written(server, style)
    assert pinned.startswith('<link rel="stylesheet" href="/static/css/theme.css?v=')
    assert ' integrity="sha256-' in pinned
    assert written(disk, style) == '<link rel="stylesheet" href="static/css/theme.css">'
    assert written(server, script).endswith(" defer></script>")
    assert written(disk, script) == '<script src="app.js" defer></script>'
    assert written(disk, '{{ script("vendor/htmx.min.js") }}') == ""


def test_a_module_is_pinned_like_every_script(server: Environment) -> None:
    written_module = written(server, '{{ script("js/annotate.js", module=true) }}')
    assert written_module.startswith('<script type="module" src="/static/js/annotate.js?v=')
    assert ' integrity="sha256-' in written_module


def test_a_script_gets_a_url_where_it_leads_somewhere(server: Environment, disk: Environment) -> None:
    card = '<p {{ data_url("card", any_head_url(card_url("tiny", any_head, annotator="L0H1 & {head}"))) }}>'
    url = "/tiny/heads/{head}/card?annotator=L0H1+%26+%7Bhead%7D"
    assert written(server, card) == f'<p data-card="{url}">'
    assert written(disk, card) == "<p >"
    compare = '{{ data_url("compare", any_head_url(compare_url("tiny", [any_head]))) }}'
    assert written(server, compare) == 'data-compare="/tiny/compare?heads={head}"'
