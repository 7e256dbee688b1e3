"""Activations of the first pass on disk until the run is published: they save a second pass for payloads.

They change nothing but the time: a batch that is not on disk is run again, and gives the same numbers.
"""

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import call
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from app.paths import remove
from app.precompute.array_files import read_arrays, write_arrays
from app.precompute.host_copies import HostCopies
from app.precompute.layer_batch import LayerBatch
from app.precompute.loaded_run import LoadedRun
from app.precompute.packed_batch import pack_batch, shortened, unpack_batch
from app.precompute.side_by_side import torch_threads
from app.precompute.write_behind import WriteBehind
from app.statistics.arrays import Ints

KEPT_BYTES = 4 * 2**30
_SHARE_OF_FREE = 0.25
_BYTES_PER_NUMBER = 4
_log = logging.getLogger(__name__)


def n_kept(run: LoadedRun) -> int:
    """How many of the run's first sequences to keep: as many as fit into KEPT_BYTES and a quarter of the free disk."""
    record, context = run.record, run.corpus.context_size
    # The triangle of the pattern, and values that heads share once.
    pattern = record.n_heads * (context + 1) / 2
    values = record.n_key_value_heads * record.d_head
    return _n_that_fit(run, _BYTES_PER_NUMBER * (pattern + values) * context)


def _n_that_fit(run: LoadedRun, bytes_per_sequence: float) -> int:
    free = shutil.disk_usage(run.folder.root).free
    return int(min(KEPT_BYTES, _SHARE_OF_FREE * free) // (max(len(run.saes), 1) * bytes_per_sequence))


@contextmanager
def keeping(run: LoadedRun) -> Iterator[Callable[[LayerBatch], None]]:
    """A function that keeps a batch. With CUDA, batches are copied and written while the next ones are computed."""
    if not _copies_beside(run.plan.device):
        yield lambda batch: keep(run, batch)
        return
    with WriteBehind() as writer:
        yield lambda batch: keep(run, batch, writer.add)


def _copies_beside(device: str) -> bool:
    """Whether a device computes on while another thread copies from it; only then is one thread all that keeps."""
    return torch.device(device).type == "cuda"


def keep(run: LoadedRun, batch: LayerBatch, do: Callable[[Callable[[], None]], None] = call) -> None:
    """Write a batch under a temporary name, then rename it; skip it if the batches up to it do not fit.

    If the disk is full, the batch is run again later. do: calls the function that copies and writes.
    """
    tensors = pack_batch(batch, run.record.n_key_value_heads)
    n_bytes = sum(tensor.nbytes for tensor in tensors.values())
    if batch.first_sequence >= _n_that_fit(run, n_bytes / len(batch.counted)):
        return
    # Of the batch itself nothing is held until it is written.
    sae, copies, path = batch.sae, HostCopies.of(tensors), _path(run, batch.sae.layer, batch.first_sequence)

    def write() -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                remove(path)
            write_arrays(path, {**shortened(copies.arrays(), sae.coder.d_sae), **_stamp(run, path)})
        except OSError as error:
            _log.warning("activations of layer %d are not kept: %s", sae.layer, error.strerror)

    do(write)


def kept_batch(run: LoadedRun, layer: int, start: int, stop: int, features: Ints) -> LayerBatch | None:
    """The stored batch of the first pass, with activations of some features, which ascend.

    None if it was not stored, or is damaged, which is logged.
    """
    path = _path(run, layer, start)
    try:
        arrays = _read(path, _stamp(run, path))
    except FileNotFoundError:
        return None
    except Exception as error:  # a damaged zip raises a dozen types
        cause = f"{type(error).__name__}: {' '.join(str(error).split())[:100]}"
        _log.warning("%s is damaged, and its sequences are run again (%s)", path, cause)
        return None
    if len(arrays["v"]) != stop - start:  # of a pass that memory cut otherwise
        return None
    counted = torch.from_numpy(run.corpus.counted(start, stop))
    # As where it was packed: what is computed again must be the same to the last bit.
    with torch_threads(run.threads.layer):
        return unpack_batch(run.saes[layer], arrays, counted, start, features)


def _read(path: Path, stamp: dict[str, NDArray[np.bytes_]]) -> dict[str, NDArray[Any]]:
    """The arrays of a file, each checked against its checksum.

    Raises ValueError for the file of another batch.
    """
    arrays = read_arrays(path)
    for name, value in stamp.items():
        if arrays.pop(name).tobytes() != value.tobytes():
            raise ValueError("it is of another batch")
    return arrays


def _stamp(run: LoadedRun, path: Path) -> dict[str, NDArray[np.bytes_]]:
    """The header that a file must have: the run and the batch that it belongs to."""
    return {"run": np.array(f"{run.plan.fingerprint} {path.name}".encode())}


def _path(run: LoadedRun, layer: int, start: int) -> Path:
    return run.folder.activations / f"L{layer}-{start:09d}.npz"
