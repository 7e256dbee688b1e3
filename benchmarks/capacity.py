"""How fast pages and searches of a whole model's dictionaries are, on a store made of one whose job was real.

    python benchmarks/capacity.py head-atlas.sqlite smollm2-135m [--layers 12] [--d-sae 24576] [--note TEXT]

Copies the store, whose features are those of a job, and fills the first layers with copies of their own features, their
examples and what search finds them by, up to d_sae each. Once a server is up for two seconds the system is made to
forget what was read of the store, and each page is asked for once, so that it has to be built. Adds a JSON line to
benchmarks/results.jsonl.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from results import keep
from serving import SERVE, UP_S, cold, free_port, server
from sqlalchemy import Connection, Engine, Table

from app.store.database.engine import backup, open_store, write_session
from app.store.migrate import upgrade
from app.store.tables.atlas import Base, FeatureExamplesRow, FeatureRow
from app.store.tables.search import FeatureEvidenceRow, FeatureTokenRow, FeatureWordRow

OF_FEATURES = (FeatureRow, FeatureExamplesRow, FeatureTokenRow, FeatureWordRow, FeatureEvidenceRow)
N_FEATURE_PAGES = 100
# Words by their place among the most frequent ones; other searches by their addresses' queries.
PLACES_OF_WORDS = (0, 1, 5, 40, 300, 2000)
SEARCHES = (
    *(f"promotes:{word}" for word in ("the", "and", "Paris")),
    *(f"evidence:{kind}>={share}" for kind in ("induction", "previous") for share in (0.05, 0.8)),
)


def fill(engine: Engine, n_layers: int, d_sae: int) -> None:
    """Give every index of the first layers a feature, and search the rows that find it."""
    tables = [Base.metadata.tables[row.__tablename__] for row in OF_FEATURES]
    indexes = [index for table in tables for index in table.indexes]
    with write_session(engine) as session:
        for index in indexes:
            index.drop(session.connection())
    for layer in range(n_layers):
        with write_session(engine) as session:
            connection = session.connection()
            _plan_copies(connection, layer, d_sae)
            for table in tables:
                _copy_rows(connection, table)
    with write_session(engine) as session:
        session.connection().exec_driver_sql("UPDATE saes SET d_sae = ? WHERE layer < ?", (d_sae, n_layers))
        for index in indexes:
            index.create(session.connection())


def _plan_copies(connection: Connection, layer: int, d_sae: int) -> None:
    """A table of the features of the layer, each beside the indices that are to be copies of it."""
    connection.exec_driver_sql("CREATE TEMP TABLE IF NOT EXISTS copies (layer INT, made INT, copy INT)")
    connection.exec_driver_sql("DELETE FROM copies")
    made = [
        index
        for (index,) in connection.exec_driver_sql(
            "SELECT feature_index FROM features WHERE layer = ? ORDER BY feature_index", (layer,)
        )
    ]
    missing = sorted(set(range(d_sae)) - set(made))
    connection.exec_driver_sql(
        "INSERT INTO copies VALUES (?, ?, ?)",
        [(layer, made[place % len(made)], index) for place, index in enumerate(missing)],
    )


def _copy_rows(connection: Connection, table: Table) -> None:
    names = [f'"{column.name}"' for column in table.columns]
    values = ["copy" if name == '"feature_index"' else f"made.{name}" for name in names]
    connection.exec_driver_sql(
        f"INSERT INTO {table.name} ({', '.join(names)}) SELECT {', '.join(values)} "  # noqa: S608 - names of tables
        f"FROM copies CROSS JOIN {table.name} AS made ON made.layer = copies.layer AND feature_index = copies.made"
    )


def forget(path: Path) -> None:
    """Let the system drop what it holds of a file, so that it is read from the disk again."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def addresses(engine: Engine, model: str, n_layers: int, d_sae: int) -> dict[str, list[str]]:
    """Pages of each kind, each to be asked for once."""
    with engine.connect() as connection:
        heads = connection.exec_driver_sql(
            "SELECT layer, head FROM heads WHERE layer < ? ORDER BY layer, head", (n_layers,)
        ).all()
        words = connection.exec_driver_sql(
            "SELECT word FROM feature_words GROUP BY word ORDER BY count(*) DESC, word"
        ).scalars()
        words = list(words)
    searches = [words[place] for place in PLACES_OF_WORDS if place < len(words)]
    searches += [*SEARCHES, f"{words[0]} {words[1]}"]
    step = d_sae // N_FEATURE_PAGES
    return {
        "atlas": [f"/{model}"],
        "head": [f"/{model}/heads/L{layer}H{head}" for layer, head in heads[::2]],
        "feature": [f"/{model}/features/L{n % n_layers}F{n * step}" for n in range(N_FEATURE_PAGES)],
        "search": [f"/{model}/search?q={quote(query)}" for query in searches],
    }


def measured(store: Path, model: str, pages: dict[str, list[str]]) -> dict[str, dict[str, float]]:
    """Milliseconds of each kind of page, as built for the first time from a file that nobody has read."""
    port, taken = free_port(), dict[str, list[float]]()
    with server(SERVE, "serve", "--store", str(store), "--no-prompts", "--port", str(port), port=port):
        time.sleep(UP_S)  # until what the server makes ready after its start is ready
        asyncio.run(cold(port, [f"/{model}/published"]))  # loads templates and the run, not the pages
        for kind, of_kind in pages.items():
            forget(store)
            taken[kind] = asyncio.run(cold(port, of_kind))
    return {
        kind: {
            "n": len(each),
            "median": round(1000 * statistics.median(each), 1),
            "max": round(1000 * max(each), 1),
        }
        for kind, each in taken.items()
    }


def main() -> None:
    """Fill, measure, print, keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("model")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--d-sae", type=int, default=24_576)
    parser.add_argument("--note", default="")
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="head-atlas-benchmark-") as folder:
        store, began = Path(folder) / "store.sqlite", time.monotonic()
        backup(open_store(asked.store), store)
        engine = open_store(store)
        upgrade(engine)
        fill(engine, asked.layers, asked.d_sae)
        filled, size = time.monotonic() - began, store.stat().st_size
        pages = addresses(engine, asked.model, asked.layers, asked.d_sae)
        engine.dispose()
        figures = {
            "n_features": asked.layers * asked.d_sae,
            "store_gb": round(size / 1e9, 2),
            "fill_seconds": round(filled, 1),
            "milliseconds": measured(store, asked.model, pages),
        }
    print(json.dumps(keep("capacity", figures, asked.note, load), indent=1))


if __name__ == "__main__":
    main()
