"""What no job can do without, given what its store is to hold, by library calls alone.

The limit of `job_cost.py` is the model's and the SAEs' arithmetic. A job stores what it finds, too: this measures how
long the plainest calls take for the same rows, as if all threads were busy at all times. A target below it is out of
reach on the machine, however a job is written.
"""

import sqlite3
import time
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from app.precompute.loaded_run import LoadedRun
from app.precompute.shard import corpus_batches
from app.store.atlas.known_text import KNOWN_TEXT

PACKED = ("features", "feature_examples", "head_attention")
TABLES = (*PACKED, "feature_tokens", "feature_words", "feature_evidence")
ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class LeastWork:
    """Seconds by part, beside the limit's encoding and products.

    forward_s: through all layers with their patterns given, which evidence of every head needs. sort_s: the logits of
    each feature once by size, for its histogram and strongest tokens. pack_s: every stored block compressed once.
    rows_s: the rows of features inserted in the order of their keys, in one transaction.
    """

    forward_s: float
    sort_s: float
    pack_s: float
    rows_s: float

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.forward_s + self.sort_s + self.pack_s + self.rows_s


def measure_least_work(run: LoadedRun, store: Path, n_features: int) -> LeastWork:
    """The least that a run which filled this store could do. What is not the model's is shared out over all threads."""
    return LeastWork(
        forward_s=forward_seconds(run),
        sort_s=sort_seconds(n_features, run.record.d_vocab) / run.plan.threads,
        pack_s=pack_seconds(store) / run.plan.threads,
        rows_s=insert_seconds(store) / run.plan.threads,
    )


def forward_seconds(run: LoadedRun) -> float:
    """Forward passes through all layers that give patterns, with nobody who reads them."""
    model, batches = run.any_model, token_batches(run)
    model.read_patterns(batches[0], lambda *_: None)
    return timed(lambda: [model.read_patterns(tokens, lambda *_: None) for tokens in batches])


def sort_seconds(n_features: int, d_vocab: int) -> float:
    """One sort of as many rows of random logits, by one thread."""
    logits = np.random.default_rng(0).standard_normal((ROWS_AT_ONCE, d_vocab), np.float32)
    return timed(lambda: np.sort(logits, axis=1)) * n_features / ROWS_AT_ONCE


def pack_seconds(store: Path) -> float:
    """Compressing what every block of the store holds, by one thread."""
    with closing(sqlite3.connect(store)) as connection:
        blocks = [data for name in PACKED for (data,) in connection.execute(f"SELECT data FROM {name}")]  # noqa: S608
    seconds = 0.0
    for body in map(body_of, blocks):
        seconds += timed(lambda body=body: zlib.compress(body, 6))
    return seconds


def body_of(block: bytes) -> bytes:
    """What a block of `app.store.atlas.blobs` compresses."""
    return zlib.decompressobj(zdict=KNOWN_TEXT).decompress(block[8:])


def insert_seconds(store: Path) -> float:
    """Inserting the store's rows of features into an empty one with the same tables."""
    copy = store.with_name("least.sqlite")
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("ATTACH ? AS filled", (str(store),))
        for name in TABLES:
            of_table = "SELECT sql FROM filled.sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL ORDER BY type DESC"
            for (statement,) in connection.execute(of_table, (name,)).fetchall():
                connection.execute(statement)

        def insert() -> None:
            for name in TABLES:
                connection.execute(f"INSERT INTO main.{name} SELECT * FROM filled.{name}")  # noqa: S608
            connection.commit()

        return timed(insert)


def token_batches(run: LoadedRun) -> list[torch.Tensor]:
    """The tokens of each forward pass of the run."""
    return [
        torch.from_numpy(np.asarray(run.corpus.tokens[start:stop]).astype(np.int64))
        for start, stop in corpus_batches(run)
    ]


def timed(work: Callable[[], object]) -> float:
    """Seconds that a piece of work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
