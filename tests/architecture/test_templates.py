"""Templates keep to the content policy, and cannot put a token into a page unescaped."""

import re

import pytest

from tests.support.repository import ROOT, relative

FRONTEND = ROOT / "frontend"
COLUMNS = 120  # as djangofmt breaks them
FORBIDDEN = {
    "escaping turned off": re.compile(r"\|\s*safe\b|autoescape\s+false|Markup\("),
    "inline style": re.compile(r"\sstyle\s*=|<style\b", re.IGNORECASE),
    "inline script": re.compile(r"<script\b(?![^>]*\ssrc\s*=)", re.IGNORECASE),
    "event attribute": re.compile(r"\s(on[a-z]+|hx-on[:\w-]*)\s*=", re.IGNORECASE),
    "script in an attribute": re.compile(r"javascript:|[\"']js:", re.IGNORECASE),
    "another site's file": re.compile(
        r"<(script|img|iframe)\b[^>]*\ssrc\s*=\s*[\"']?(https?:)?//|<link\b[^>]*\shref\s*=\s*[\"']?(https?:)?//",
        re.IGNORECASE,
    ),
}  # fmt: skip


def breaches(text: str) -> list[str]:
    return [f"{name}: {match[0]!r}" for name, rule in FORBIDDEN.items() for match in rule.finditer(text)]


def test_c11_templates_keep_to_the_rules():
    templates = [path for path in (FRONTEND / "templates").rglob("*") if path.is_file()]
    assert len(templates) >= 5
    found = {relative(path): breaches(path.read_text("utf-8")) for path in templates}
    assert not {name: what for name, what in found.items() if what}


# A place of the page itself is the only address that is the same on a server and on a disk.
BARE_LINK = re.compile(r"""(?<![\w-])(href|src)\s*=\s*(?!["']#)\S*""", re.IGNORECASE)


def test_templates_write_links_by_functions():
    templates = sorted((FRONTEND / "templates").rglob("*.html"))
    found = {
        relative(path): [match[0] for match in BARE_LINK.finditer(path.read_text("utf-8"))]
        for path in templates
    }
    assert not {name: what for name, what in found.items() if what}


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ('<a href="{{ head_url(model, head) }}">', True),
        ("<a href='{{ address }}#{{ head }}'>", True),
        ('<a class="link"\n  href = "/about">', True),
        ("<a href={{ address }}>", True),
        ('<script defer src="{{ static_url("a.js") }}"></script>', True),
        ("<a {{ href(head_url(model, head)) }}>", False),
        ('{{ stylesheet("css/theme.css") }}', False),
        ('<a href="#every">', False),
        ('<use href="#g-{{ head_type }}" />', False),
    ],
)
def test_a_link_without_a_function_is_found(text, bare):
    assert bool(BARE_LINK.search(text)) is bare


def test_lines_of_templates_fit_a_screen():
    long = [
        f"{relative(path)}:{number}"
        for path in sorted((FRONTEND / "templates").rglob("*.html"))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if len(line) > COLUMNS
    ]
    assert not long


@pytest.mark.parametrize(
    "text",
    [
        "{{ token | safe }}",
        "{{ token|safe }}",
        "{% autoescape false %}",
        '<p style="color: red">',
        "<style>p { color: red }</style>",
        "<script>alert(1)</script>",
        '<script type="module">alert(1)</script>',
        '<button onclick="f()">',
        '<button hx-on:click="f()">',
        '<a href="javascript:f()">',
        "<div hx-vals='js:{a: f()}'>",
        '<script defer src="https://example.org/x.js"></script>',
        '<link rel="stylesheet" href="//example.org/x.css">',
    ],
)
def test_a_breach_is_found(text):
    assert breaches(text)


@pytest.mark.parametrize(
    "text", ['<script defer src="{{ static_url("a.js") }}"></script>', "{{ token }} is safe", "<b>on = 1</b>"]
)
def test_what_is_allowed_is_not_a_breach(text):
    assert breaches(text) == []


def test_stylesheets_and_scripts_load_nothing_from_elsewhere():
    files = [
        *FRONTEND.rglob("*.css"),
        *(path for path in FRONTEND.rglob("*.js") if "vendor" not in path.parts),
    ]
    assert files
    address = re.compile(r"url\(\s*[\"']?(https?:)?//|@import|\beval\(|new Function\(|\.innerHTML\b")
    assert not {relative(path) for path in files if address.search(path.read_text("utf-8"))}
