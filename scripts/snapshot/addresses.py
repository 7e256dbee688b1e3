"""Which addresses of a server are recorded: those that are always asked for, and those that pages lead to."""

import json
import re
from collections import Counter
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, urlsplit

from running import RunningServer

# A leading HX asks for the part that htmx puts into a page.
HX = "HX "
MAX_OF_A_KIND = 8  # linked addresses that differ in their numbers alone
_SKIPPED = re.compile(r"^/static/|^//|\.(xlsx|parquet)(\?|$)")
_GENERAL = (
    "/", "/atlases.json", "/about", "/about.json", "/docs", "/openapi.json", "/healthz", "/nothing",
    "/nothing.json", "/login", "/me", "/nothing/heads/L0H0", "/favicon.ico",
)  # fmt: skip
_QUERIES = (
    "", "animals", "dog", 'promotes:" d"', "suppresses:a", "evidence:induction>=0.1", "evidence:same_token",
    "score:induction>0.01", "layer:1", "layer:0-1 type:bi", "role:induction", "type:poly", "group:names by:ana",
    "status:submitted", "status:open", "by:ben", "text:dog", "L0H0", "L1F3", "L0H0 L0H1", "evidence:nonsense",
    'promotes:"', "colour:red", "layer:9", "dog layer:0 evidence:copying>=0.1",
)  # fmt: skip
_TEXTS = ("The quick brown fox", "Mary gave John a drink, John gave Mary two.", "x" * 400)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and value.startswith("/") and (name == "hx-get" or (name == "href" and tag == "a")):
                self.found.append(value.partition("#")[0])


def links_of(html: str) -> list[str]:
    """The server's own addresses that a page links to, each once, in order."""
    reader = _Links()
    reader.feed(html)
    return [link for link in dict.fromkeys(reader.found) if not _SKIPPED.search(link)]


def kind_of(address: str) -> str:
    """An address without its numbers and the values of its query."""
    parts = urlsplit(address)
    names = sorted({pair.partition("=")[0] for pair in parts.query.split("&")})
    return re.sub(r"\d+", "0", parts.path) + "?" + "&".join(names)


def first_of_each_kind(links: list[str], seen: Counter[str]) -> list[str]:
    """The links but those of a kind that has been seen often enough. Counts them."""
    chosen: list[str] = []
    for link in links:
        seen[kind_of(link)] += 1
        if seen[kind_of(link)] <= MAX_OF_A_KIND:
            chosen.append(link)
    return chosen


def twin_patterns(openapi: dict[str, Any]) -> list[re.Pattern[str]]:
    """What the path of a documented JSON answer looks like."""
    paths = [path for path in openapi["paths"] if path.endswith(".json")]
    return [re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))) for path in paths]


def twin_of(address: str, patterns: list[re.Pattern[str]]) -> str | None:
    """The address of a page's JSON; None where the page has none."""
    path, mark, query = address.partition("?")
    twin = f"{path}.json"
    known = any(pattern.fullmatch(twin) for pattern in patterns)
    return f"{twin}{mark}{query}" if known and not path.endswith("/") else None


def seeds(server: RunningServer) -> list[str]:
    """The addresses that are asked for whatever pages lead to."""
    listed = json.loads(server.get("/atlases.json").body)["atlases"]
    addresses = [*_GENERAL]
    for atlas in listed:
        if atlas["run"] is not None:
            addresses += _of_atlas(server, atlas["model"])
    return list(dict.fromkeys(addresses))


def _of_atlas(server: RunningServer, slug: str) -> list[str]:
    atlas = f"/{slug}"
    page = json.loads(server.get(f"{atlas}.json").body)
    heads = _named(page, re.compile(r"L\d+H\d+"))
    layers = sorted({int(head[1:].partition("H")[0]) for head in heads})
    chosen = heads if len(heads) <= 16 else [*heads[:8], *heads[len(heads) // 2 :][:8]]
    features: list[str] = []
    for layer in layers:
        stored = json.loads(server.get(f"{atlas}/layers/{layer}.json").body)
        features += _named(stored, re.compile(r"L\d+F\d+"))[:30]
    below = (*_views_of_atlas(), *_sheets(), *_pairs(chosen), *_prompts(chosen, features))
    addresses = [f"{atlas}{rest}" for rest in below]
    suggested = ("ind", "role:", "L0", "evidence:", "by:a")
    addresses += [f"{HX}{atlas}/search?typing=true&q={quote(text)}" for text in suggested]
    for head in chosen:
        addresses += _of_head(f"{atlas}/heads/{head}")
    for feature in features:
        addresses += _of_feature(atlas, feature, chosen)
    addresses += [f"{atlas}/layers/{layer}{more}" for layer in layers for more in ("", "?after=3")]
    shown = json.loads(server.get(f"{atlas}/experiments.json").body)
    for experiment in _identities(shown):
        addresses += _of_experiment(f"{atlas}/experiments/{experiment}", chosen)
    return addresses


def _views_of_atlas() -> list[str]:
    scores = (
        "induction",
        "previous_token",
        "duplicate_token",
        "concentration",
        "rank_correlation",
        "nonsense",
    )
    views = [f"?score={name}" for name in scores]
    views += [f"?colour={name}" for name in ("score", "type", "groups", "progress", "nonsense")]
    views += [
        "?order=value",
        "?annotator=ana",
        "?colour=type&annotator=ben",
        "?layers=1",
        "?layers=x",
        "?low=0.1",
    ]
    views += ["?low=0.1&high=0.4", "?low=a", "?role=induction", "?type=bisemantic", "?status=submitted"]
    searches = [f"/search?q={quote(query)}" for query in _QUERIES]
    return [
        "",
        *views,
        *searches,
        "/search?q=dog&page=2",
        "/next",
        "/experiments",
        "/experiments?ablate=L0H1",
    ]


def _sheets() -> list[str]:
    views = [
        "",
        "?page=2",
        "?sort=-head",
        "?sort=annotator",
        "?by=ana",
        "?type=bisemantic",
        "?role=induction",
    ]
    views += [
        "?status=draft",
        "?agreement=differs",
        "?layers=1",
        "?columns=head,annotator,groups",
        "?columns=nonsense",
    ]
    sheets = [f"/annotations{view}" for view in views]
    sheets += [f"/annotations.{kind}{view}" for kind in ("csv", "json") for view in ("", views[4], views[10])]
    sheets += [
        "/annotations.txt",
        "/annotations/import",
        "/annotations/settle/L0H0",
        "/annotations/settle/L1H1",
    ]
    people = ("", "?by=ana", "?by=ben", "?by=me", "?by=nobody")
    return [
        *sheets,
        "/agreement.json",
        *(f"/{page}{by}" for page in ("layers", "published") for by in people),
    ]


def _pairs(heads: list[str]) -> list[str]:
    lists = [
        "",
        heads[0],
        ",".join(heads[:2]),
        ",".join(heads[-2:]),
        ",".join(heads[:4]),
        ",".join(heads[:5]),
    ]
    views = [f"/compare?heads={each}" for each in lists]
    return [
        *views,
        f"/compare?heads={heads[0]}&add={heads[1]}",
        f"/compare?heads={lists[2]}&rank=fve",
        "/compare?heads=x",
    ]


def _prompts(heads: list[str], features: list[str]) -> list[str]:
    views = ["", *(f"?text={quote(text)}" for text in _TEXTS), "?text=a&at=x"]
    whole = f"?text={quote(_TEXTS[1])}"
    views += [f"{whole}&head={heads[0]}", f"{whole}&feature={features[0]}", f"{whole}&head={heads[0]}&dest=5"]
    views += [f"{whole}&head={heads[-1]}&feature={features[-1]}&dest=7"]
    return [f"/prompt{view}" for view in views]


def _of_head(page: str) -> list[str]:
    views = ["", "?rank=fve", "?k=3", "?rank=fve&k=20", "?align=token", "?rank=nonsense", "?k=0"]
    embedded = "/embed" + page
    history = [
        f"{page}/history{more}" for more in ("", "?annotator=ana", "?annotator=ben", "?annotator=nobody")
    ]
    parts = [f"{page}/card", f"{page}/card?annotator=ana", f"{page}/ablation", f"{page}/annotation.json"]
    return [*(f"{page}{view}" for view in views), *history, *parts, embedded, f"{embedded}?rank=fve&k=3"]


def _of_feature(atlas: str, feature: str, heads: list[str]) -> list[str]:
    page = f"{atlas}/features/{feature}"
    layer = feature.partition("F")[0]
    here = [head for head in heads if head.startswith(f"{layer}H")]
    views = ["", "?head=all", "?head=x", *(f"?head={head}" for head in here[:2])]
    opened = [f"{HX}{atlas}/heads/{head}?open={feature}" for head in here[:1]]
    return [*(f"{page}{view}" for view in views), f"{page}/notes.json", f"/embed{page}", *opened]


def _of_experiment(page: str, heads: list[str]) -> list[str]:
    views = ["", f"?heads={heads[0]}", f"?heads={','.join(heads[:2])}", "?threshold=0.5", "?mode=mean"]
    views += ["?mode=resample", "?definition=norm_share", "?tokens=nonsense"]
    return [*(f"{page}{view}" for view in views), f"{page}.csv"]


def _named(value: Any, pattern: re.Pattern[str]) -> list[str]:
    """The references of one form in a JSON answer, by layer and number."""
    found = set(pattern.findall(json.dumps(value)))
    return sorted(found, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])


def _identities(page: dict[str, Any]) -> list[str]:
    return [each["id"] for each in page["experiments"]]
