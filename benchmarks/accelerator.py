"""How near a device comes to its limit: a job on random weights in GPT-2 small's shapes, with twelve random TopK SAEs.

    python benchmarks/accelerator.py [--device auto] [--dtype float32] [--tokens 131072] [--small]

Needs no hub. Prints tokens per second, the share of the device's limit (forward + encode + logits, by the rate of one
product, `app/precompute/costs.py`), peak memory, and compares rows with the CPU's on a small part. --small: tiny
shapes, to try it.
"""

import argparse
import json
import os
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

import app.precompute.calibration
from app.adapters.devices import choose_device, describe_device
from app.adapters.model_sizes import model_sizes
from app.adapters.model_sources import find_model
from app.adapters.sae_sources import LocalSae
from app.adapters.transformer_lens_model import DTYPES
from app.domain.records import FeatureRecord
from app.domain.refs import FeatureRef
from app.precompute.costs import LIMIT, ModelSizes, SaeSizes, Work, operations
from app.precompute.job import run_job
from app.precompute.planner import product_rate
from app.precompute.process_memory import peak_memory_bytes
from app.precompute.request import JobRequest, RunOptions
from app.store.atlas.features import list_features
from app.store.atlas.reads import get_live_run
from app.store.database.engine import open_store, read_session

CONTEXT, K_ACTIVE = 128, 32
N_COMPARED = 16  # sequences whose rows are compared with the CPU's
SHAPES = {
    False: {"n_layer": 12, "n_head": 12, "n_embd": 768, "vocab_size": 50_257, "d_sae": 24_576},
    True: {"n_layer": 2, "n_head": 4, "n_embd": 64, "vocab_size": 512, "d_sae": 256},
}


def main() -> None:
    """Make the inputs, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="float32", choices=sorted(DTYPES))
    parser.add_argument("--tokens", type=int, default=131_072)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--features", default="top", choices=["top", "all"])
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    app.precompute.calibration.MAX_FVU = float("inf")  # random SAEs explain nothing
    with tempfile.TemporaryDirectory(prefix="head-atlas-accelerator-") as folder:
        figures = measure(options, Path(folder))
    print(json.dumps(figures, indent=1))


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The figures of one job on the device, and how far its rows are from the CPU's."""
    shape, n_sequences = SHAPES[options.small], options.tokens // CONTEXT
    device = choose_device(options.device)
    model = make_model(folder / "model", shape)
    saes = tuple(make_sae(folder / f"sae-{layer}", layer, shape) for layer in range(shape["n_layer"]))
    tokens = np.random.default_rng(0).integers(1, 256, (n_sequences, CONTEXT))
    tokens[:, 0] = 0
    np.save(folder / "tokens.npy", tokens.astype(np.int32))
    request = JobRequest(
        model=str(model),
        saes=tuple(LocalSae(path) for path in saes),
        dataset=(str(folder / "tokens.npy"),),
        work_dir=folder / "work",
        cache_dir=folder / "cache",
        name="accelerator",
        features=options.features,
        batch_size=options.batch_size,
        dtype=options.dtype,
        device=device,
        processing="raw",
        pad_token=-1,
    )
    small = replace(request, n_prompts=N_COMPARED, work_dir=folder / "few")
    few = records(small, folder / "few.sqlite")  # warms the device up as well
    on_cpu = records(replace(small, device="cpu", work_dir=folder / "cpu"), folder / "cpu.sqlite")
    cpu_began, began = time.process_time(), time.perf_counter()
    report = run_job(request, str(folder / "store.sqlite"), RunOptions())
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    print(report)
    rate = product_rate(device, DTYPES[options.dtype])
    counted = operations(work_of(request, model, shape, n_sequences))
    limit = sum(counted[name] for name in LIMIT) / rate
    is_cuda = torch.device(device).type == "cuda"
    return {
        "device": describe_device(device),
        "dtype": options.dtype,
        "n_tokens": n_sequences * CONTEXT,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu_seconds, 2),
        "tokens_per_second": round(n_sequences * CONTEXT / seconds, 1),
        "product_tflops": round(rate / 1e12, 3),
        "share_of_limit": round(limit / seconds, 4),
        "peak_device_mib": round(torch.cuda.max_memory_allocated() / 2**20) if is_cuda else None,
        "peak_memory_mib": round(peak_memory_bytes() / 2**20),
        "load": os.getloadavg()[0],
        "rows_against_cpu": compared(few, on_cpu),
    }


def work_of(request: JobRequest, model: Path, shape: dict[str, int], n_sequences: int) -> Work:
    """What the job has to do, for its count."""
    saes = tuple(
        SaeSizes(layer, shape["n_embd"], shape["d_sae"], K_ACTIVE) for layer in range(shape["n_layer"])
    )
    sizes = ModelSizes(**model_sizes(find_model(str(model), request.cache_dir)))
    is_whole, batches = request.features == "all", (request.batch_size, request.shard_size)
    return Work(sizes, saes, n_sequences, CONTEXT, *batches, 4, is_whole, request.k)


def make_model(folder: Path, shape: dict[str, int]) -> Path:
    """A random GPT-2 of the shape, with a tokenizer of single bytes."""
    letters = ["<bos>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=shape["vocab_size"],
        n_positions=1024,
        n_embd=shape["n_embd"],
        n_layer=shape["n_layer"],
        n_head=shape["n_head"],
        bos_token_id=0,
        eos_token_id=0,
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=letters[0]).save_pretrained(folder)
    return folder


def make_sae(folder: Path, layer: int, shape: dict[str, int]) -> Path:
    """A TopK SAE with a random decoder of unit rows and its transpose as encoder."""
    generator = torch.Generator().manual_seed(layer)
    d_in, d_sae = shape["n_embd"], shape["d_sae"]
    w_dec = torch.nn.functional.normalize(torch.randn(d_sae, d_in, generator=generator), dim=1)
    config = {
        "architecture": "topk",
        "k": K_ACTIVE,
        "d_in": d_in,
        "d_sae": d_sae,
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "hook_z",
        "metadata": {"hook_name": f"blocks.{layer}.attn.hook_z", "hook_head_index": None},
    }
    folder.mkdir()
    (folder / "cfg.json").write_text(json.dumps(config))
    weights = {
        "W_enc": w_dec.T.contiguous(),
        "W_dec": w_dec,
        "b_enc": torch.zeros(d_sae),
        "b_dec": torch.zeros(d_in),
    }
    save_file(weights, folder / "sae_weights.safetensors")
    return folder


def records(request: JobRequest, store: Path) -> dict[FeatureRef, FeatureRecord]:
    """The features that a job publishes."""
    run_job(request, str(store), RunOptions())
    engine = open_store(store)
    with read_session(engine) as session:
        run = get_live_run(session, "accelerator")
        listed = [list_features(session, run, sae.layer, limit=10**6) for sae in run.record.saes]
    engine.dispose()
    return {record.ref: record for layer in listed for record in layer}


def compared(
    here: dict[FeatureRef, FeatureRecord], on_cpu: dict[FeatureRef, FeatureRecord]
) -> dict[str, float]:
    """Shares of the same features and of equal counts, and the worst relative difference of largest activations."""
    both = sorted(set(here) & set(on_cpu))
    largest = [
        abs(here[ref].max_activation / on_cpu[ref].max_activation - 1) for ref in both if on_cpu[ref].n_active
    ]
    return {
        "same_features": len(both) / max(len(set(here) | set(on_cpu)), 1),
        "same_counts": sum(here[ref].n_active == on_cpu[ref].n_active for ref in both) / max(len(both), 1),
        "worst_max_activation": max(largest, default=0.0),
    }


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
