"""Recording what a tree answers: pages, files, help texts and the content of a store."""

import json
import shutil
import sqlite3
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from addresses import HX, first_of_each_kind, links_of, seeds, twin_of, twin_patterns
from names import Names
from running import Response, RunningServer, Tree
from store_tables import table_contents
from terminal import record_commands
from visible import visible_text

MAX_PAGES = 5000
WAIT_S = 180  # for the answer to a text, which a model has to be loaded for
_HEADERS = (
    "content-type",
    "location",
    "cache-control",
    "content-disposition",
    "content-security-policy",
    "refresh",
)
# Asked for without a login.
_TEAM = ("/", "/login", "/login?next=/about", "/me", "/{slug}", "/{slug}/annotations", "/{slug}/heads/L0H0")


def record(tree: Tree, store: Path, out: Path, addresses: Path | None) -> None:
    """Write all that is recorded into a new folder. The store is copied, never touched."""
    out.mkdir(parents=True)
    with _copied(store) as folder:
        names = Names(folder / store.name)
        _write_json(out / "names.json", {name: real for real, name in names.names.items()})
        _write_json(out / "tables.json", table_contents(folder / store.name, names))
        record_commands(tree, folder, store.name, out, names)
        asked = addresses.read_text().splitlines() if addresses else None
        with tree.served(store.name, folder, "--prompts") as server:
            _Pages(server, names, out / "pages").record(asked)
        with tree.served(store.name, folder, "--team") as server:
            _Pages(server, names, out / "team").record([each.format(slug=names.slug) for each in _TEAM])


@contextmanager
def _copied(store: Path) -> Iterator[Path]:
    """A folder with a copy of the store, and links to what lies beside it: the model and the text."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with sqlite3.connect(store) as source, sqlite3.connect(folder / store.name) as copy:
            source.backup(copy)
        for path in store.resolve().parent.iterdir():
            if not path.name.startswith(store.name) and path.name != "server.log":
                (folder / path.name).symlink_to(path)
        yield folder
        shutil.rmtree(folder / "site", ignore_errors=True)


class _Pages:
    """The answers of one server, in folders by kind, and a list of how each address was answered."""

    def __init__(self, server: RunningServer, names: Names, out: Path) -> None:
        self._server = server
        self._names = names
        self._out = out
        self._answers: dict[str, dict[str, str]] = {}

    def record(self, asked: list[str] | None) -> None:
        """The addresses asked for, else the usual ones with their JSON and the pages that they lead to."""
        if asked is None:
            self._crawl()
        else:
            for address in asked:
                self._visit(self._names.real(address))
        _write_json(self._out / "answers.json", self._answers)
        (self._out / "addresses.txt").write_text("".join(f"{each}\n" for each in self._answers))

    def _crawl(self) -> None:
        patterns = twin_patterns(json.loads(self._server.get("/openapi.json").body))
        waiting, seen, visited = deque(seeds(self._server)), Counter[str](), set[str]()
        while waiting and len(visited) < MAX_PAGES:
            address = waiting.popleft()
            if address in visited:
                continue
            visited.add(address)
            body = self._visit(address)
            if body is not None and not address.startswith(HX):
                twin = twin_of(address, patterns)
                waiting.extendleft([twin] if twin else [])
                waiting.extend(
                    first_of_each_kind([link for link in links_of(body) if link not in visited], seen)
                )

    def _visit(self, address: str) -> str | None:
        """The HTML of a page, once recorded; None for anything else."""
        headers = {"HX-Request": "true"} if address.startswith(HX) else {}
        response = self._get(address.removeprefix(HX), headers)
        told = {
            name: self._names.stable(response.headers[name]) for name in _HEADERS if name in response.headers
        }
        stable = self._names.stable(address)
        self._answers[stable] = {"status": str(response.status)} | told
        kind = response.headers.get("content-type", "").partition(";")[0]
        text = self._names.stable(response.body.decode("utf-8", "replace"))
        if kind == "text/html":
            self._write("html", stable, ".html", text)
            self._write("text", stable, ".txt", visible_text(text))
            return response.body.decode() if response.status == 200 else None
        if kind == "application/json":
            whole = json.loads(text) if text else None
            self._write("json", stable, ".json", json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
        elif kind.startswith("text/") and kind != "text/css":
            self._write("files", stable, ".txt", text)
        return None

    def _get(self, address: str, headers: dict[str, str]) -> Response:
        """The answer, asked for again while the server works on it."""
        deadline = time.monotonic() + WAIT_S
        while True:
            response = self._server.get(address, headers)
            if response.status != 202 or time.monotonic() > deadline:
                return response
            time.sleep(0.2)

    def _write(self, kind: str, address: str, ending: str, text: str) -> None:
        name = quote(address.removeprefix("/"), safe="=&,?+") or "index"
        if len(name) > 180:
            name = f"{name[:160]}-{sha256(name.encode()).hexdigest()[:12]}"
        path = self._out / kind / f"{name}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")
