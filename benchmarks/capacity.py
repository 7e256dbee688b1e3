"""How fast pages and searches of a whole model's dictionaries are: 12 layers of 49,152 features with examples, made up.

    python benchmarks/capacity.py [--d-sae 49152] [--note TEXT]

Some features of each layer are made, and their blocks stored for every other index; the tables of search are filled as
by benchmarks/search.py, with GPT-2's vocabulary. The store is served after the system has forgotten what it read of it.
Each page is asked for once, so it has to be built: heads, features of all layers, and searches. Adds a JSON line to
benchmarks/results.jsonl.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
from results import keep
from search import rows, spelling
from serving import SERVE, cold, free_port, server
from sqlalchemy import Engine

from app.adapters.tokenizers import HuggingFaceTokenizer
from app.store.database.engine import open_store, write_session
from app.store.migrate import upgrade
from app.store.tables.atlas import FeatureExamplesRow, FeatureRow
from app.store.tables.search import FeatureEvidenceRow, FeatureTokenRow, FeatureWordRow
from tests.support.gpt2_vocabulary import N_TOKENS, gpt2_tokenizer
from tests.support.run_data import RunShape, StoredRun, make_run, publish

N_LAYERS, N_MADE = 12, 24
SHAPE = RunShape(N_LAYERS, 12, tuple(range(N_LAYERS)), N_MADE, context=128, n_sequences=64)
PER_STATEMENT = 2048
# By their addresses' queries: text, tokens, evidence, and two conditions at once.
SEARCHES = (
    *(spelling(at) for at in (0, 1, 5, 40, 300, 2000, 20_000)),
    *(f"promotes:{word}" for word in ("the", "and", "Paris")),
    *(f"evidence:{kind}>={share}" for kind in ("induction", "copying") for share in (0.05, 0.8)),
    f"{spelling(0)} {spelling(1)}",
)


def make(engine: Engine) -> StoredRun:
    """A live run with a few features in each layer."""
    vocabulary = HuggingFaceTokenizer(gpt2_tokenizer(), "gpt2").vocabulary(N_TOKENS)
    run = make_run("whole", shape=SHAPE)
    record = replace(run.record, model=replace(run.record.model, d_vocab=N_TOKENS))
    return publish(engine, replace(run, vocabulary=vocabulary, record=record))


def fill(engine: Engine, d_sae: int) -> int:
    """Give every index a copy of one of the features that are there; the number of features."""
    copied = {
        FeatureRow: "n_active, density, mean_activation, max_activation, worst_residual, data",
        FeatureExamplesRow: "data",
    }
    for layer in range(N_LAYERS):
        for start in range(0, d_sae, PER_STATEMENT):
            with write_session(engine) as session:
                for table, columns in copied.items():
                    of_made = ", ".join(f"made.{column}" for column in columns.split(", "))
                    session.connection().exec_driver_sql(
                        f"WITH RECURSIVE numbers(n) AS (SELECT ? UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?) "  # noqa: S608
                        f"INSERT OR IGNORE INTO {table.__tablename__} (run_id, layer, feature_index, {columns}) "
                        f"SELECT run_id, layer, n, {of_made} FROM numbers JOIN {table.__tablename__} AS made "
                        f"ON made.run_id = 1 AND made.layer = ? AND made.feature_index = 7 * (n % ?) + 3",
                        (start, min(d_sae, start + PER_STATEMENT), layer, N_MADE - 1),
                    )
    return N_LAYERS * d_sae


def index(engine: Engine, d_sae: int) -> int:
    """Fill the tables of search anew; the number of their rows."""
    with write_session(engine) as session:
        for table in (FeatureTokenRow, FeatureWordRow, FeatureEvidenceRow):
            session.connection().exec_driver_sql(f"DELETE FROM {table.__tablename__}")  # noqa: S608
    n_rows = 0
    for table, columns in rows(np.random.default_rng(0), 1, N_LAYERS * d_sae, d_sae):
        marks, names = ", ".join("?" * len(columns)), ", ".join(f'"{name}"' for name in columns)
        statement = f"INSERT INTO {table.__tablename__} ({names}) VALUES ({marks})"  # noqa: S608 - names of ours
        n = len(columns["run_id"])
        for start in range(0, n, 200_000):
            part = zip(
                *(column[start : start + 200_000].tolist() for column in columns.values()), strict=True
            )
            with write_session(engine) as session:
                cursor = session.connection().connection.cursor()
                cursor.executemany(statement, list(part))
        n_rows += n
    return n_rows


def forget(path: Path) -> None:
    """Let the system drop what it holds of a file, so that it is read from the disk again."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def addresses(d_sae: int) -> dict[str, list[str]]:
    """Pages of each kind, each to be asked for once."""
    drawn = np.random.default_rng(1).integers(0, d_sae, (100, 1))[:, 0].tolist()
    heads = [f"L{layer}H{head}" for layer in range(N_LAYERS) for head in range(12)]
    return {
        "atlas": ["/whole"],
        "head": [f"/whole/heads/{head}" for head in heads[::2]],
        "feature": [f"/whole/features/L{n % N_LAYERS}F{index}" for n, index in enumerate(drawn)],
        "search": [f"/whole/search?q={quote(query)}" for query in SEARCHES],
    }


def main() -> None:
    """Fill, measure, print, keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--d-sae", type=int, default=49_152)
    parser.add_argument("--note", default="")
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="head-atlas-benchmark-") as folder:
        store, began = Path(folder) / "store.sqlite", time.monotonic()
        engine = open_store(store)
        upgrade(engine)
        make(engine)
        n_features, n_rows = fill(engine, asked.d_sae), index(engine, asked.d_sae)
        engine.dispose()
        filled, size = time.monotonic() - began, store.stat().st_size
        port, taken = free_port(), dict[str, list[float]]()
        with server(SERVE, "serve", "--store", str(store), "--no-prompts", "--port", str(port), port=port):
            asyncio.run(cold(port, ["/whole/published"]))  # loads templates and the run, not the pages
            for kind, pages in addresses(asked.d_sae).items():
                forget(store)
                taken[kind] = asyncio.run(cold(port, pages))
    figures = {
        "n_features": n_features,
        "rows_of_search": n_rows,
        "store_gib": round(size / 2**30, 2),
        "fill_seconds": round(filled, 1),
        "milliseconds": {
            kind: {
                "n": len(each),
                "median": round(1000 * statistics.median(each), 1),
                "max": round(1000 * max(each), 1),
            }
            for kind, each in taken.items()
        },
    }
    print(json.dumps(keep("capacity", figures, asked.note, load), indent=1))


if __name__ == "__main__":
    main()
