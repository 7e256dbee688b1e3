"""How fast search answers on the dictionaries of a whole model: 12 layers of 24,576 features, made up.

    python benchmarks/search.py [--store FILE_OR_ADDRESS] [--layers 12] [--d-sae 24576]

Fills the tables of search as an `--features all` run of GPT-2 small would: 10 tokens raised and 10 lowered, 24 words
and a few heads' evidence for each feature, tokens and words as frequent as in text. Prints how long each kind of query
takes (the first time, and the median of five more), and adds a JSON line to benchmarks/results.jsonl.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from results import keep
from sqlalchemy import Engine

from app.domain.evidence import KINDS
from app.domain.records import ModelRecord, RunRecord, RunReport
from app.domain.refs import HeadRef
from app.store.atlas import writes as runs
from app.store.atlas.reads import LiveRun, get_live_run
from app.store.database.engine import open_store, read_session, write_session
from app.store.migrate import upgrade
from app.store.search import Condition, FiresNear, MovesToken, ShowsEvidence, find_features, words_like
from app.store.tables.search import FeatureEvidenceRow, FeatureTokenRow, FeatureWordRow

N_HEADS, D_VOCAB, N_WORDS = 12, 50_257, 30_000
TOKENS, WORDS = 10, 24
LIMIT = 26
MODEL = ModelRecord("org/whole", "main", 12, N_HEADS, 12, 64, 768, D_VOCAB, 0)


def main() -> None:
    """Fill, measure, print, and append to the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", help="an empty store; default: a temporary SQLite file")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--d-sae", type=int, default=24_576)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="head-atlas-benchmark-") as folder:
        engine = open_store(options.store or str(Path(folder) / "store.sqlite"))
        upgrade(engine)
        began = time.monotonic()
        n_rows = fill(engine, options.layers, options.d_sae)
        filled = time.monotonic() - began
        figures = {
            "engine": engine.dialect.name,
            "sqlalchemy": version("sqlalchemy"),
            "engine_version": ".".join(map(str, engine.dialect.server_version_info or ()))
            or getattr(engine.dialect.dbapi, "sqlite_version", ""),
            "n_layers": options.layers,
            "d_sae": options.d_sae,
            "rows": n_rows,
            "fill_seconds": round(filled, 1),
            "milliseconds": dict(measure(engine)),
        }
        engine.dispose()
    print(json.dumps(keep("search", figures, "", load), indent=1))


def fill(engine: Engine, n_layers: int, d_sae: int) -> int:
    """A run with the tables of search filled in the order of their keys."""
    record = RunRecord("5eac" * 4, MODEL, "made up", 128, 1, 127)
    with write_session(engine) as session:
        run_id = runs.begin_run(session, "whole", record)
    n_rows = 0
    for table, columns in rows(np.random.default_rng(0), run_id, n_layers * d_sae, d_sae):
        marks = ", ".join(["?" if engine.dialect.name == "sqlite" else "%s"] * len(columns))
        names = ", ".join(f'"{name}"' for name in columns)
        statement = f"INSERT INTO {table.__tablename__} ({names}) VALUES ({marks})"  # noqa: S608 - names of ours
        with write_session(engine) as session:
            n = len(next(iter(columns.values())))
            for start in range(0, n, 50_000):
                part = zip(
                    *(column[start : start + 50_000].tolist() for column in columns.values()), strict=True
                )
                session.connection().exec_driver_sql(statement, list(part))
            n_rows += n
    now = datetime.now(UTC)
    with write_session(engine) as session:
        runs.go_live(session, run_id, RunReport(now, now, 1.0, "serial", 1, 1))
    return n_rows


def rows(rng: np.random.Generator, run_id: int, n: int, d_sae: int) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The columns of each table, sorted by its key."""
    feature = np.arange(n)
    head = rng.integers(0, N_HEADS, n)
    tokens = frequent(rng, (n, 2 * TOKENS), D_VOCAB)
    yield FeatureTokenRow, table_of(run_id, d_sae, *unique(feature, tokens), head, {
        "token_id": lambda key: key % D_VOCAB,
        "sign": lambda key: np.where(rng.random(len(key)) < 0.5, -1, 1),
        "logit": lambda key: rng.gamma(2.0, 0.5, len(key)),
    }, key=("token_id", "sign", "logit"))  # fmt: skip
    words = frequent(rng, (n, WORDS), N_WORDS)
    names = np.array([spelling(i) for i in range(N_WORDS)])
    yield FeatureWordRow, table_of(run_id, d_sae, *unique(feature, words), head, {
        "word": lambda key: names[key],
        "count": lambda key: rng.integers(1, 11, len(key)),
    }, key=("word", "count"))  # fmt: skip
    kinds = np.where(rng.random((n, len(KINDS))) < 0.35, np.arange(len(KINDS)), -1)
    pairs = [(at, kind) for at, kind in zip(*unique(feature, kinds), strict=True)]
    at, kind = (np.array(part) for part in zip(*((a, k) for a, k in pairs if k >= 0), strict=True))
    yield FeatureEvidenceRow, table_of(run_id, d_sae, at, kind, head, {
        "kind": lambda key: np.array(KINDS)[key],
        "share": lambda key: rng.integers(1, 21, len(key)) / 20,
    }, key=("kind",))  # fmt: skip


def frequent(rng: np.random.Generator, shape: tuple[int, int], n: int) -> Any:
    """Draws whose frequency falls with their number, as that of words does: the first is in a tenth of all rows."""
    return np.minimum(n - 1, (n ** rng.random(shape)).astype(np.int64) - 1)


def unique(feature: Any, values: Any) -> tuple[Any, Any]:
    """Each (feature, value) once."""
    pairs = np.unique(np.stack([np.repeat(feature, values.shape[1]), values.ravel()], axis=1), axis=0)
    return pairs[:, 0], pairs[:, 1]


def table_of(
    run_id: int, d_sae: int, feature: Any, value: Any, head: Any, more: dict[str, Any], key: Sequence[str]
) -> dict[str, Any]:
    columns = {
        "run_id": np.full(len(feature), run_id),
        "layer": feature // d_sae,
        "feature_index": feature % d_sae,
        "head": head[feature],
        **{name: make(value) for name, make in more.items()},
    }
    order = np.lexsort([columns[name] for name in (*key, "layer", "feature_index")][::-1])
    return {name: column[order] for name, column in columns.items()}


def spelling(number: int) -> str:
    """A made-up word, shorter for smaller numbers."""
    text = ""
    while number or len(text) < 2:
        number, letter = divmod(number, 26)
        text += chr(ord("a") + letter)
    return text


def measure(engine: Engine) -> Iterator[tuple[str, dict[str, float]]]:
    frequent_word, rare_word = spelling(0), spelling(20_000)
    heads = [HeadRef(layer, head) for layer in range(0, 12, 2) for head in (1, 5)]
    queries: dict[str, tuple[list[Condition], Any, Any]] = {
        "promotes, frequent token": ([MovesToken((0,), 1)], None, None),
        "promotes, rare token": ([MovesToken((40_000, 40_001), 1)], None, None),
        "suppresses": ([MovesToken((7,), -1)], None, None),
        "word, frequent": ([FiresNear(frequent_word)], None, None),
        "word, rare": ([FiresNear(rare_word)], None, None),
        "two frequent words": ([FiresNear(frequent_word), FiresNear(spelling(1))], None, None),
        "evidence >= 0.8": ([ShowsEvidence("induction", 0.8, False)], None, None),
        "evidence >= 0.05": ([ShowsEvidence("induction", 0.05, False)], None, None),
        "evidence and token": ([ShowsEvidence("copying", 0.5, False), MovesToken((3,), 1)], None, None),
        "two frequent tokens": ([MovesToken((0,), 1), MovesToken((1,), -1)], None, None),
        "rare and frequent word": ([FiresNear(rare_word), FiresNear(frequent_word)], None, None),
        "word in two layers": ([FiresNear(frequent_word)], {5, 6}, None),
        "word by heads": ([FiresNear(frequent_word)], None, heads),
    }
    for name, (conditions, layers, of) in queries.items():
        yield (
            name,
            timed(engine, lambda s, run, c=conditions, n=layers, h=of: find_features(s, run, c, n, h, LIMIT)),
        )
    yield "words beginning with", timed(engine, lambda s, run: words_like(s, run, "ab", 6))


def timed(engine: Engine, ask: Any) -> dict[str, float]:
    """In milliseconds: the first time, the median of five more, and how many were found."""
    times: list[float] = []
    found = 0
    for _ in range(6):
        with read_session(engine) as session:
            run: LiveRun = get_live_run(session, "whole")
            began = time.perf_counter()
            found = len(ask(session, run))
            times.append(1000 * (time.perf_counter() - began))
    return {"first": round(times[0], 1), "median": round(statistics.median(times[1:]), 1), "found": found}


if __name__ == "__main__":
    main()
