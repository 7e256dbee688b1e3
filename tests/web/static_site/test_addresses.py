"""Which file stands for an address, and the path to it from another."""

import pytest

from app.web.static_site.writer import SiteLinks

FILES = {
    "/tiny": "index.html",
    "/tiny?score=copying": "score-copying.html",
    "/tiny/heads/L0H1": "heads/L0H1.html",
    "/tiny/heads/L0H1?rank=fve": "heads/L0H1.fve.html",
    "/tiny/features/L0F3": "features/L0F3.html",
    "/tiny/layers/0?after=9": "layers/0.after-9.html",
    "/tiny/layers?by=a+b": "layers.by-1.html",
    "/about": "about.html",
}


@pytest.mark.parametrize(
    ("address", "file"),
    [
        *FILES.items(),
        ("/", "index.html"),
        ("/tiny?score=copying&layers=1", None),
        ("/tiny/prompt", None),
        ("/tiny/search", None),
        ("/tiny/heads/L0H1?k=10&rank=decoder_weight", "heads/L0H1.html"),
        ("/tiny/heads/L0H1?k=10&rank=fve", "heads/L0H1.fve.html"),
        ("/tiny/heads/L0H1?open=L0F3", "heads/L0H1.html"),
        ("/tiny/heads/L0H1?rank=fve&k=20", None),
        ("/tiny/heads/L0H1?align=token", None),
        ("/tiny/heads/L0H1?open=L0F3&group=2", None),
        ("/tiny/features/L0F3?head=L0H1", "features/L0F3.html"),
        ("/tiny/features/L0F3?align=token", None),
        ("/tiny/features/L0F4", None),
        ("/static/css/theme.css?v=1", "static/css/theme.css"),
        ("/static/vendor/htmx.min.js", None),
        ("/tiny/compare?heads=L0H1", None),
        ("/docs", None),
        ("/other", None),
    ],
)
def test_addresses_become_files(address: str, file: str | None) -> None:
    assert SiteLinks("tiny", FILES).file_of(address) == file


@pytest.mark.parametrize(
    ("url", "depth", "address"),
    [
        ("/tiny/features/L0F3", 0, "features/L0F3.html"),
        ("/tiny/features/L0F3?head=L0H1", 1, "../features/L0F3.html"),
        ("/tiny/heads/L0H1?open=L0F3#L0F3", 1, "../heads/L0H1.html#L0F3"),
        ("/about#limits", 2, "../../about.html#limits"),
        ("/static/css/theme.css?v=1", 1, "../static/css/theme.css"),
        ("#every", 1, "#every"),
        ("https://example.org/a#b", 1, "https://example.org/a#b"),
        ("/tiny/features/L0F4#notes", 1, None),
        ("/tiny/compare", 0, None),
    ],
)
def test_addresses_depend_on_the_folder_of_the_page(url: str, depth: int, address: str | None) -> None:
    assert SiteLinks("tiny", FILES).address_of(url, depth) == address
