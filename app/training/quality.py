"""How well trained SAEs stand in for hook_z, on held-out text, with the weights as saved."""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from app.adapters.transformer_lens_model import TransformerLensModel
from app.attribution.float64 import widened
from app.attribution.sae import SparseCoder
from app.paths import remove
from app.statistics.moments import CoMoments
from app.training.activation_stream import Sequences
from app.training.recipe import write_json

QUALITY_FILE = "quality.json"
TABLE_FILE = "quality.md"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LayerQuality:
    """One layer's SAE on held-out text. BOS and padding are in no number; losses are in nats per token.

    fvu: summed squared error over summed squared distance of z from its mean. l0: mean active features per token.
    dead_share: features that are active on none of the n_tokens. loss_*: mean cross-entropy of the next token, over
    n_loss_tokens, with the layer's z as it is, replaced by its reconstruction, and set to zero.
    loss_recovered = (loss_zero - loss_sae) / (loss_zero - loss_clean); None where zeros change nothing.
    fvu_int8 and l0_int8: the same with the weights in 8 bits; None where that was not measured.
    """

    layer: int
    n_tokens: int
    fvu: float
    l0: float
    dead_share: float
    n_loss_tokens: int
    loss_clean: float
    loss_sae: float
    loss_zero: float
    loss_recovered: float | None
    fvu_int8: float | None = None
    l0_int8: float | None = None


@dataclass
class _Sums:
    """The sums of one layer over the batches counted so far."""

    moments: CoMoments
    n_active: NDArray[np.int64]
    error: float = 0.0
    loss: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("clean", "sae", "zero"), 0.0))
    n_loss_tokens: int = 0

    @classmethod
    def empty(cls, sae: SparseCoder) -> "_Sums":
        return cls(CoMoments.empty(sae.d_in), np.zeros(sae.d_sae, np.int64))

    @property
    def fvu(self) -> float:
        variance = self.moments.total_variance()
        return self.error / variance if variance else float("inf")

    @property
    def l0(self) -> float:
        return float(self.n_active.sum()) / int(self.moments.n)


def quality_report(
    model: TransformerLensModel,
    sequences: Sequences,
    saes: Mapping[int, SparseCoder],
    batch_size: int = 8,
    n_loss_sequences: int = 64,
    in_8_bits: Mapping[int, SparseCoder] | None = None,
) -> list[LayerQuality]:
    """One row per layer, over the held-out sequences; losses over the first n_loss_sequences of them.

    in_8_bits: the SAEs of the same layers with their weights stored in 8 bits, to be measured beside them.
    A loss costs a forward pass of the whole model for each layer, twice, so fewer sequences are spent on it.
    """
    layers = sorted(saes)
    in_8_bits = in_8_bits or {}
    sums = {layer: _Sums.empty(sae) for layer, sae in saes.items()}
    sums_8 = {layer: _Sums.empty(sae) for layer, sae in in_8_bits.items()}
    held_out = sequences.held_out
    loss_part, rest = held_out[:n_loss_sequences], held_out[n_loss_sequences:]
    for with_loss, part in ((True, loss_part), (False, rest)):
        for tokens, counted in _batches(sequences, part, batch_size):
            z = model.hook_z(tokens, layers)
            clean = model.loss(tokens) if with_loss else None
            for layer in layers:
                rebuilt = _count(sums[layer], saes[layer], z[layer], counted)
                if layer in in_8_bits:
                    _count(sums_8[layer], in_8_bits[layer], z[layer], counted)
                if clean is not None:
                    _count_losses(sums[layer], model, layer, tokens, counted, (clean, rebuilt))
    return [_row(layer, sums[layer], sums_8.get(layer)) for layer in layers]


def write_report(folder: Path, rows: list[LayerQuality]) -> str:
    """Write quality.md, then quality.json, and return the table: a folder with the latter is finished."""
    table = quality_table(rows)
    (folder / TABLE_FILE).write_text(table)
    write_json(folder / QUALITY_FILE, [asdict(row) for row in rows])
    return table


def read_report(folder: Path) -> list[LayerQuality] | None:
    """The rows that write_report left in the folder; None where there are none, or they cannot be read."""
    path = folder / QUALITY_FILE
    try:
        return [LayerQuality(**row) for row in json.loads(path.read_bytes())]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        _log.warning("%s is damaged, and is made again", path)
        remove(path)
        return None


def quality_table(rows: list[LayerQuality]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| layer | held-out tokens | FVU | FVU, 8 bits | L0 | L0, 8 bits | dead share "
        "| loss clean | loss SAE | loss zero | loss recovered |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.layer} | {row.n_tokens} | {row.fvu:.4f} | {_number(row.fvu_int8, 4)} | {row.l0:.1f} "
        f"| {_number(row.l0_int8, 1)} | {row.dead_share:.3f} | {row.loss_clean:.4f} | {row.loss_sae:.4f} "
        f"| {row.loss_zero:.4f} | {_number(row.loss_recovered, 3)} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _number(value: float | None, n_decimals: int) -> str:
    return "" if value is None else f"{value:.{n_decimals}f}"


def _batches(
    sequences: Sequences, indices: NDArray[np.int64], batch_size: int
) -> Iterator[tuple[Int[Tensor, "batch pos"], Bool[Tensor, "batch pos"]]]:
    for start in range(0, len(indices), batch_size):
        tokens, counted = sequences.rows(indices[start : start + batch_size])
        yield torch.from_numpy(tokens), torch.from_numpy(counted)


def _count(
    sums: _Sums,
    sae: SparseCoder,
    z: Float[Tensor, "batch pos n_heads d_head"],
    counted: Bool[Tensor, "batch pos"],
) -> Float[Tensor, "batch pos d_in"]:
    """Add a batch to the sums; z with each counted token replaced by its reconstruction."""
    z = z.flatten(-2).to(sae.w_enc.device)
    mask = counted.to(z.device)
    x = z[mask]
    encoded = sae.encode(x)
    x_hat = sae.decode(encoded.feature_acts, encoded).float()
    sums.moments = sums.moments.merge(CoMoments.of(x.cpu().numpy()))
    sums.n_active += (encoded.feature_acts > 0).sum(0).cpu().numpy()
    sums.error += float((widened(x) - widened(x_hat)).square().sum())
    rebuilt = z.clone()
    rebuilt[mask] = x_hat
    return rebuilt


def _count_losses(
    sums: _Sums,
    model: TransformerLensModel,
    layer: int,
    tokens: Int[Tensor, "batch pos"],
    counted: Bool[Tensor, "batch pos"],
    losses: tuple[Float[Tensor, "batch target"], Float[Tensor, "batch pos d_in"]],
) -> None:
    clean, rebuilt = losses
    shape = (*tokens.shape, model.record.n_heads, model.record.d_head)
    zero = torch.where(counted[..., None].to(rebuilt.device), torch.zeros_like(rebuilt), rebuilt)
    targets = counted[:, 1:]
    by_kind = {
        "clean": clean,
        "sae": model.loss(tokens, layer, rebuilt.reshape(shape)),
        "zero": model.loss(tokens, layer, zero.reshape(shape)),
    }
    for kind, loss in by_kind.items():
        sums.loss[kind] += float(loss.cpu()[targets].double().sum())
    sums.n_loss_tokens += int(targets.sum())


def _row(layer: int, sums: _Sums, sums_8: _Sums | None) -> LayerQuality:
    n_tokens = int(sums.moments.n)
    if not n_tokens or not sums.n_loss_tokens:
        raise ValueError(f"no held-out tokens to measure layer {layer} on")
    loss = {kind: total / sums.n_loss_tokens for kind, total in sums.loss.items()}
    span = loss["zero"] - loss["clean"]
    return LayerQuality(
        layer=layer,
        n_tokens=n_tokens,
        fvu=sums.fvu,
        l0=sums.l0,
        dead_share=float((sums.n_active == 0).mean()),
        n_loss_tokens=sums.n_loss_tokens,
        loss_clean=loss["clean"],
        loss_sae=loss["sae"],
        loss_zero=loss["zero"],
        loss_recovered=(loss["zero"] - loss["sae"]) / span if span else None,
        fvu_int8=sums_8.fvu if sums_8 else None,
        l0_int8=sums_8.l0 if sums_8 else None,
    )
