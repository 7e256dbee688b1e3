"""The cost of a job before anything runs, from the configurations of the model and its SAEs alone."""

import time

import torch

from app.adapters.devices import choose_device, describe_device
from app.adapters.model_sizes import model_sizes
from app.adapters.model_sources import find_model
from app.adapters.sae_checks import layer_of
from app.adapters.sae_sources import LocalSae
from app.adapters.transformer_lens_model import DTYPES
from app.attribution.products import product
from app.errors import AppError
from app.precompute.costs import LIMIT, ModelSizes, SaeSizes, Work, disk, memory, operations
from app.precompute.early_checks import config_of
from app.precompute.request import JobRequest

_UNKNOWN_TEXT = 1000  # sequences, where nobody says how many
_UNKNOWN_L0 = 64.0
_PROBE = 1024  # rows and columns of the product by which a device is timed


def plan_text(request: JobRequest) -> str:
    """A job's memory, disk and time at the device's limit, one per line. Raises AppError."""
    device = choose_device(request.device)
    source = find_model(request.model, request.cache_dir, request.revision)
    sizes = ModelSizes(**model_sizes(source))
    work = _work(request, sizes, device)
    rate = product_rate(device, DTYPES[request.dtype])
    counted = operations(work)
    assumption = "" if request.n_prompts else f" (--n-prompts is not given: for {_UNKNOWN_TEXT:,})"
    lines = [
        f"{source.name}, {len(work.saes)} layers with an SAE, {work.n_sequences:,} sequences of "
        f"{work.context_size} tokens{assumption}, {work.n_published:,} features at most",
        f"on {describe_device(device)} in {request.dtype}, {rate / 1e12:.3g} TFLOP/s in a product of {_PROBE} rows",
        "",
    ]
    for title, parts in (("memory", memory(work)), ("disk", disk(work))):
        lines += [f"{title:<8} {name:<26} {_bytes(size):>10}" for name, size in parts.items()]
        if title == "memory":
            lines.append(f"{title:<8} {'together':<26} {_bytes(sum(parts.values())):>10}")
    for name, count in counted.items():
        lines.append(f"{'time':<8} {name:<26} {_seconds(count / rate):>10}  {count / 1e12:.3g} TFLOP")
    limit = sum(counted[name] for name in LIMIT) / rate
    lines.append(f"{'time':<8} {'limit: ' + ' + '.join(LIMIT):<26} {_seconds(limit):>10}")
    return "\n".join(lines)


def _work(request: JobRequest, sizes: ModelSizes, device: str) -> Work:
    return Work(
        model=sizes,
        saes=tuple(sae for sae in _sae_sizes(request) if sae.layer in (request.layers or (sae.layer,))),
        n_sequences=request.n_prompts or _UNKNOWN_TEXT,
        context_size=request.context_size,
        batch_size=request.batch_size,
        shard_size=request.shard_size,
        bytes_a_weight=DTYPES[request.dtype].itemsize,
        is_whole=request.features == "all",
        k=request.k,
        threads=request.threads if torch.device(device).type == "cpu" else 1,
    )


def _sae_sizes(request: JobRequest) -> list[SaeSizes]:
    sizes: list[SaeSizes] = []
    for spec in request.saes:
        if not isinstance(spec, LocalSae):
            raise AppError(
                "--plan reads the sizes of SAEs in folders (--sae-path); those of a release are not read"
            )
        config = config_of(spec)
        sizes.append(
            SaeSizes(layer_of(config), config.d_in, config.d_sae, config.k or config.l0 or _UNKNOWN_L0)
        )
    return sizes


def product_rate(device: str, dtype: torch.dtype) -> float:
    """Operations per second of a product of two square matrices, the best of three."""
    left = torch.ones(_PROBE, _PROBE, device=device, dtype=dtype)
    best = torch.inf
    for _ in range(3):
        began = time.perf_counter()
        made = product(left, left)
        float(made[0, 0])  # waits for the device
        best = min(best, time.perf_counter() - began)
    return 2.0 * _PROBE**3 / best


def _bytes(size: float) -> str:
    return f"{size / 1e9:,.2f} GB" if size >= 1e8 else f"{size / 1e6:,.1f} MB"


def _seconds(seconds: float) -> str:
    return f"{seconds:,.1f} s" if seconds < 600 else f"{seconds / 60:,.0f} min"
