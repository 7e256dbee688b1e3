"""What a fast hand means against what is stored: heads labelled by keys alone, in Chromium, over slow connections.

    python benchmarks/labelling.py 20 --together 3

For every pace of the hand and every delay of the connection so many heads are labelled: ten features, groups of the
last head or new ones, a role, a confidence, a claim, often a note, then submitted. The hand waits for nothing but the
next head. Cells run side by side, each in a process with a store, a server and a browser of its own; those that take
longest begin first. Prints a table of heads, of differences between what was intended and what is stored, and of
seconds per head.
"""

import argparse
import json
import multiprocessing
import random
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from app.domain.annotations.roles import ROLES
from app.store.database.engine import open_store
from app.store.migrate import upgrade
from tests.support.browsing import CHROMIUM, FLAGS
from tests.support.run_data import RunShape, make_run, publish
from tests.support.slow_connections import serving_slowly

PACES_MS = (60, 150, 300)
DELAYS_MS = (0, 100, 400, 800)
RESULTS = Path(__file__).parent / "results.jsonl"
NEW_GROUPS = ("dates", "towns", "verbs of motion", "quotes", "brackets", "plurals", "names of ships", "units")


@dataclass
class IntendedRecord:
    """What the hand means for one head."""

    labels: list[str | None] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    confidence: int | None = None
    claims: list[str] = field(default_factory=list)
    notes: str = ""
    groups: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class PaceResult:
    """One pace over one connection."""

    pace_ms: int
    delay_ms: int
    n_heads: int
    differences: tuple[str, ...]
    seconds_a_head: float
    slowest_s: float


class Hand:
    """Types at one pace, whatever the page does."""

    def __init__(self, page: Page, pace_ms: int, choose: random.Random) -> None:
        self.page, self.pace_ms, self.choose = page, pace_ms, choose

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
            self.page.wait_for_timeout(self.pace_ms)

    def label(self) -> IntendedRecord:
        """Labels the head that is shown, and submits it."""
        intended = IntendedRecord()
        keys = self._groups(intended)
        while len(intended.labels) < 10:
            key = self.choose.choice(list(keys))
            self.press(key)
            intended.labels.append(keys[key])
        role = self.choose.choice(ROLES)
        self.press("r", role.key)
        intended.roles.append(role.name)
        intended.confidence = self.choose.randint(1, 5)
        self.press(*"]" * intended.confidence)
        intended.claims.append(self.choose.choice(("snl1", "reads the year", "r2]u")))
        self.press("c", *intended.claims[0], "Enter")
        if self.choose.random() < 0.5:
            intended.notes = self.choose.choice(("odd", "123 [r] u"))
            self.press("m", *intended.notes, "Escape")
        self.press("Control+Enter")
        intended.groups = sorted({name for name in intended.labels if name not in (None, "?")})
        return intended

    def _groups(self, intended: IntendedRecord) -> dict[str, str | None]:
        """The keys of two groups and of unclear; a group that is named labels the first feature with it."""
        self.page.wait_for_selector("#groups.numbered")
        if self.choose.random() < 0.3:
            name = self.choose.choice(NEW_GROUPS)
            self.press("g", *name, "Enter")
            intended.labels.append(name)
            # It may have taken the number of an offered group, as the page then says.
            self.page.wait_for_function("document.getElementById('completes').textContent.includes('is key')")
        names = self.page.evaluate(
            "[...document.querySelectorAll('#groups li')].map((item) => item.querySelector('[name=group_name]').value)"
        )
        first, second = self.choose.sample(range(2, 5), 2)
        return {str(first): names[first - 1], str(second): names[second - 1], "-": "?"}


def stored_record(page: Page, base: str, head: str) -> IntendedRecord | None:
    record = page.request.get(f"{base}/tiny/heads/{head}/annotation.json").json()["record"]
    if record is None or record["status"] != "submitted":
        return None
    content = record["content"]
    return IntendedRecord(
        labels=["?" if label["unclear"] else label["group"] for label in content["labels"]][:10],
        roles=content["roles"],
        confidence=content["confidence"],
        claims=[link["note"] for link in content["evidence"]],
        notes=content["notes"],
        groups=sorted(group["name"] for group in content["groups"]),
    )


def label_heads(browser: Browser, pace_ms: int, delay_ms: int, n_heads: int, seed: int) -> PaceResult:
    """Labels heads of a fresh store at one pace over one connection, and compares."""
    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder) / "store.sqlite")
        engine = open_store(store)
        upgrade(engine)
        per_layer = min(40, n_heads + 1)
        n_layers = -(-(n_heads + 1) // per_layer)
        publish(engine, make_run("tiny", 1, RunShape(n_layers, per_layer, sae_layers=tuple(range(n_layers)))))
        engine.dispose()
        with serving_slowly(store) as (base, connection):
            page = browser.new_context(viewport={"width": 1440, "height": 1000}).new_page()
            connection.delay_s = delay_ms / 1000
            page.goto(f"{base}/tiny/heads/L0H0")
            hand, intended, seconds = Hand(page, pace_ms, random.Random(seed)), {}, []
            for _ in range(n_heads):
                started = time.monotonic()
                head = page.locator("h1").inner_text()
                intended[head] = hand.label()
                expect(page.locator("h1")).not_to_have_text(head, timeout=60000)
                seconds.append(time.monotonic() - started)
            connection.delay_s = 0
            stored = {head: stored_record(page, base, head) for head in intended}
            page.context.close()
    different = [
        f"{head}: {intended[head]} is {stored[head]}" for head in intended if intended[head] != stored[head]
    ]
    return PaceResult(
        pace_ms, delay_ms, n_heads, tuple(different), round(sum(seconds) / n_heads, 2), round(max(seconds), 2)
    )


def label_cell(cell: tuple[int, int, int]) -> PaceResult:
    """One cell with a browser of its own: pace, delay, and the number of heads."""
    pace_ms, delay_ms, n_heads = cell
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        labelled = label_heads(browser, pace_ms, delay_ms, n_heads, seed=pace_ms + delay_ms)
        browser.close()
    return labelled


def print_table(cells: list[PaceResult]) -> None:
    print("key ms  delay ms  heads  differences  s per head  slowest s")
    for cell in sorted(cells, key=lambda cell: (cell.pace_ms, cell.delay_ms)):
        row = f"{cell.pace_ms:6}  {cell.delay_ms:8}  {cell.n_heads:5}  {len(cell.differences):11}"
        print(f"{row}  {cell.seconds_a_head:8}  {cell.slowest_s:9}")
        for difference in cell.differences:
            print(f"  {difference}")
    n_different = sum(len(cell.differences) for cell in cells)
    print(f"{n_different} differences in {sum(cell.n_heads for cell in cells)} heads", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("n_heads", type=int, nargs="?", default=84, help="heads of each pace and delay")
    parser.add_argument("--together", type=int, default=1, help="cells that run at the same time")
    parser.add_argument(
        "--pace", type=int, nargs="+", default=PACES_MS, metavar="MS", help="only these paces"
    )
    parser.add_argument(
        "--delay", type=int, nargs="+", default=DELAYS_MS, metavar="MS", help="only these delays"
    )
    given = parser.parse_args()
    wanted = [(pace, delay, given.n_heads) for pace in given.pace for delay in given.delay]
    cells: list[PaceResult] = []
    with multiprocessing.get_context("spawn").Pool(given.together, maxtasksperchild=1) as pool:
        for cell in pool.imap_unordered(label_cell, sorted(wanted, reverse=True), chunksize=1):
            cells.append(cell)
            print(f"{datetime.now(UTC):%H:%M:%S} {asdict(cell)}", file=sys.stderr, flush=True)
    print_table(cells)
    line = {
        "benchmark": "labelling",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "together": given.together,
        "cells": [asdict(cell) for cell in sorted(cells, key=lambda cell: (cell.pace_ms, cell.delay_ms))],
    }
    with RESULTS.open("a") as results:
        results.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
