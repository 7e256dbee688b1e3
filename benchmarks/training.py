"""What `train-sae` costs beside its forward passes and the optimiser's arithmetic, for five layers at once.

    python benchmarks/training.py [--steps 52] [--kind topk|standard] [--note TEXT]

On the embedded model, with the sizes of the SAEs that ship. The limit: the same forward passes, to the deepest layer,
and as many steps of the plainest torch (encode, k largest, decode, mean squared error, gradients, fused Adam) on one
SAE of each layer. What else a run does: it shuffles and scales activations, clips gradients, revives dead features,
writes eight checkpoints, and stores the SAEs. Loading, tokenising and the quality report are left out.
"""

import argparse
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from job_inputs import FIVE_LAYERS
from least_work import timed
from results import keep, kept, renew_section, where_and_when
from torch import Tensor

from app.adapters.model_sources import EMBEDDED, find_model
from app.adapters.text_sources import PYTHON_DOCS
from app.adapters.transformer_lens_model import TransformerLensModel, load_model
from app.settings import Settings
from app.training.activation_stream import ActivationStream, Sequences
from app.training.options import SaeKind
from app.training.recipe import Recipe
from app.training.run import gather_sequences
from app.training.train import train

BENCHMARK = "training"
STEPS = 52  # with the eight batches that set the scale two buffers of activations


@dataclass(frozen=True)
class TrainingCost:
    """Seconds of a run, and of its limit."""

    kind: str
    steps: int
    train_s: float
    forward_s: float
    steps_s: float

    @property
    def ratio(self) -> float:
        """The run beside forward passes and steps."""
        return self.train_s / (self.forward_s + self.steps_s)


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--kind", choices=["topk", "standard"], default="topk")
    parser.add_argument("--note", default="")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="head-atlas-training-") as folder:
        cost = measure(options.steps, options.kind, Path(folder))
    line = keep(BENCHMARK, {**asdict(cost), "ratio": cost.ratio}, options.note, load)
    print(line_of(line))
    renew_section(BENCHMARK, table())


def measure(steps: int, kind: SaeKind, folder: Path) -> TrainingCost:
    """A run into the folder, and its limit."""
    source = find_model(EMBEDDED, Settings().cache_dir)
    model = load_model(source)
    recipe = Recipe(
        model=source.name,
        model_revision=source.identity,
        layers=FIVE_LAYERS,
        datasets=(PYTHON_DOCS,),
        kind=kind,
        n_tokens=steps * Recipe.batch_tokens,
        held_out_sequences=8,
    )
    sequences = gather_sequences(recipe, model, folder)
    stream = ActivationStream(model, sequences, recipe)
    train_s = timed(lambda: train(recipe, model.record, stream, folder))
    forward_s = timed(lambda: forward_passes(model, sequences, recipe, stream.position))
    return TrainingCost(kind, steps, train_s, forward_s, timed(lambda: plain_steps(recipe, model)))


def forward_passes(model: TransformerLensModel, sequences: Sequences, recipe: Recipe, n_batches: int) -> None:
    """The forward passes of the buffers that so many batches are served from."""
    n_buffers = -(-n_batches // recipe.batches_per_buffer)
    for first in range(0, n_buffers * recipe.buffer_sequences, recipe.forward_sequences):
        wanted = range(first, first + recipe.forward_sequences)
        tokens, _ = sequences.rows(sequences.training[[n % len(sequences.training) for n in wanted]])
        model.hook_z(torch.from_numpy(tokens), recipe.layers)


def plain_steps(recipe: Recipe, model: TransformerLensModel) -> None:
    """Every layer's steps on random input, in plain torch."""
    x = torch.randn(recipe.batch_tokens, model.record.n_heads * model.record.d_head)
    for _ in recipe.layers:
        w_enc = torch.nn.Parameter(torch.randn(x.shape[1], recipe.d_sae) / x.shape[1] ** 0.5)
        w_dec = torch.nn.Parameter(w_enc.detach().T.clone())
        b_enc, b_dec = (torch.nn.Parameter(torch.zeros(n)) for n in (recipe.d_sae, x.shape[1]))
        optimiser = torch.optim.Adam([w_enc, w_dec, b_enc, b_dec], lr=recipe.lr, fused=True)
        for _ in range(recipe.n_steps):
            optimiser.zero_grad()
            loss = loss_of(recipe, x, (w_enc, b_enc), (w_dec, b_dec))
            loss.backward()
            optimiser.step()


def loss_of(
    recipe: Recipe, x: Tensor, encoder: tuple[Tensor, Tensor], decoder: tuple[Tensor, Tensor]
) -> Tensor:
    """The squared error of a TopK SAE, or that of a standard one with its L1 penalty."""
    hidden = torch.addmm(encoder[1], x - decoder[1], encoder[0]).relu()
    if recipe.kind == "topk":
        value, place = hidden.topk(recipe.k, dim=1)
        hidden = torch.zeros_like(hidden).scatter(1, place, value)
    error = (torch.addmm(decoder[1], hidden, decoder[0]) - x).square().sum(dim=1).mean()
    return error if recipe.kind == "topk" else error + recipe.l1_coefficient * hidden.sum(dim=1).mean()


def table() -> str:
    """The newest line of each kind, in Markdown."""
    newest = {line["kind"]: line for line in kept(BENCHMARK)}
    head = "| SAEs of five layers | steps of 1,024 tokens | seconds | forward passes | plain steps | ratio | when |"
    return "\n".join(
        [head, "|---|---|---|---|---|---|---|", *(line_of(newest[kind]) for kind in sorted(newest))]
    )


def line_of(line: dict[str, str | float]) -> str:
    """One line in Markdown."""
    return (
        f"| {line['kind']} | {line['steps']} | {line['train_s']:.1f} | {line['forward_s']:.1f} | {line['steps_s']:.1f} "
        f"| {line['ratio']:.2f} × | {where_and_when(line)} |"
    )


if __name__ == "__main__":
    main()
