"""The app's numbers of one family against plain transformers, as relative differences."""

from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import torch
from torch import Tensor

from app.adapters.copying import copying_scores
from app.adapters.interventions import InterventionModel, ZEdit
from app.adapters.language_model import Processing
from app.adapters.model_sources import find_model
from app.adapters.transformer_lens_model import load_model
from app.attribution.head_scores import repeated_sequence_scores
from app.attribution.logits import logit_effect
from app.domain.refs import HeadRef
from app.errors import InvalidModel
from app.experiments.logit_attribution import logit_parts
from tests.parity.frozen import FrozenPaths
from tests.parity.plain import PlainModel, Seen

TOKENS = torch.randint(5, 300, (2, 20), generator=torch.Generator().manual_seed(3))
POSITION = torch.tensor([15, 18])
BOS = 0
N_TRIED = 64  # sequences, for two whose routing is the same in both number formats
LENGTH = 10  # of random tokens that are given twice


@dataclass
class Measured:
    """What was found of a family in one processing and number format."""

    refused: str | None = None
    withheld: dict[str, str] = field(default_factory=dict)  # by what is withheld
    off: dict[str, float] = field(default_factory=dict)  # by what is compared, the relative difference
    folds: bool = (
        False  # whether processing takes the value bias out of z, as it does in families it can fold
    )


def measure(folder: Path, processing: Processing, dtype: torch.dtype) -> Measured:
    """All that holds for a model without a run of its own."""
    try:
        loaded = load_model(find_model(str(folder), folder / "cache"), processing, "cpu", dtype)
    except InvalidModel as error:
        return Measured(refused=str(error))
    found = Measured()
    model = InterventionModel.of(loaded)
    tokens = TOKENS.clone()
    tokens[:, 0] = BOS
    plain = PlainModel(folder, dtype)
    seen = plain.see(tokens)
    constants = _activations(found, model, seen, tokens)
    found.off["folded values"] = _folded(found, plain, tokens, constants)
    _forward(found, model, plain, seen, tokens, constants)
    found.off["head scores"] = _scores(model, plain)
    exact = plain if dtype == torch.float32 else PlainModel(folder, rounded=True)
    _paths(found, model, exact, _steady(plain, exact, tokens), constants)
    return found


def _steady(plain: PlainModel, exact: PlainModel, tokens: Tensor) -> Tensor:
    """The tokens, or where there is a router others that it sends to the same experts in both number formats.

    One token that goes elsewhere moves all scales after it. Where all go the same way, the two are nearest.
    """
    if plain is exact or not plain.has_router:
        return tokens
    many = torch.randint(5, 300, (N_TRIED, tokens.shape[1]), generator=torch.Generator().manual_seed(4))
    many[:, 0] = BOS
    one, other = (each.see(many).logits.double() for each in (plain, exact))
    apart = ((one - other).norm(dim=-1) / other.norm(dim=-1)).amax(-1)
    return many[apart.argsort()[: len(tokens)]]


def _activations(found: Measured, model: InterventionModel, seen: Seen, tokens: Tensor) -> dict[int, Tensor]:
    """z, v and pattern. Returns what a layer's z and v lose by processing, by head: its folded value bias."""
    layers = list(model.attention_layers)
    assert layers == sorted(seen.z), (layers, sorted(seen.z))
    constants = {}
    worst = dict.fromkeys(("z", "v", "pattern"), 0.0)
    for layer, ours in model.activations(tokens, layers).items():
        z, v, pattern = (each[layer].float() for each in (seen.z, seen.v, seen.pattern))
        folded = model.processing == "processed"
        constants[layer] = (z - ours.z).mean((0, 1)) if folded else torch.zeros(z.shape[2:])
        worst["z"] = max(worst["z"], off(ours.z + constants[layer], z))
        worst["v"] = max(worst["v"], off(ours.v + constants[layer], v))
        worst["pattern"] = max(worst["pattern"], off(ours.pattern, pattern))
        mixed = torch.einsum("bhts,bshd->bthd", ours.pattern, ours.v)
        worst["z = A v"] = max(worst.get("z = A v", 0.0), off(mixed, ours.z))
    found.off |= worst
    return constants


def _folded(found: Measured, plain: PlainModel, tokens: Tensor, constants: dict[int, Tensor]) -> float:
    """How far what z loses by processing is from its value bias, or from nothing in families that are not folded."""
    lost = torch.cat([constant.flatten() for constant in constants.values()])
    bias = torch.cat([plain.folded_values(layer, tokens).float().flatten() for layer in constants])
    found.folds = float(bias.norm()) > 0 and float(lost.norm()) > float(bias.norm()) / 2
    return float((lost - bias * found.folds).norm() / bias.norm().clamp(min=1))


def _forward(
    found: Measured,
    model: InterventionModel,
    plain: PlainModel,
    seen: Seen,
    tokens: Tensor,
    constants: dict[int, Tensor],
) -> None:
    """Hidden states, loss and zero ablation of each head."""
    found.off["hidden states"] = max(
        off(model.residual_before(tokens, i), seen.stream[i].float(), centred=_centred(model))
        for i in seen.stream
    )
    found.off["loss"] = off(model.loss(tokens), seen.loss(tokens))
    worst = 0.0
    for layer, constant in constants.items():
        for head in range(plain.n_heads):

            def cut(z: Tensor, head: int = head, constant: Tensor = constant) -> Tensor:
                z[:, :, head] = constant[head].to(z)
                return z

            expected = plain.with_z(tokens, layer, cut).float()
            ours = model.run_with_z(tokens, [ZEdit(HeadRef(layer, head))])
            worst = max(worst, off(ours, expected, centred=True))
    found.off["zero ablation"] = worst


def _scores(model: InterventionModel, plain: PlainModel) -> float:
    """Attention on random tokens given twice, to the place before, the same token and the token after it."""
    once = torch.stack(
        [torch.randperm(300, generator=torch.Generator().manual_seed(i))[:LENGTH] for i in (1, 2)]
    )
    tokens = torch.cat([torch.full((2, 1), BOS), once, once], dim=1)
    patterns, ours = plain.see(tokens).pattern, model.patterns(tokens)
    shown, expected = [], []
    for layer, pattern in patterns.items():
        scores = repeated_sequence_scores(ours[layer], LENGTH)
        for sequence, head in product(range(2), range(plain.n_heads)):
            rows = pattern[sequence, head].double()
            second = range(1 + LENGTH, 1 + 2 * LENGTH)
            means = {
                "previous_token": [rows[dest, dest - 1] for dest in range(2, 1 + 2 * LENGTH)],
                "duplicate_token": [rows[dest, dest - LENGTH] for dest in second],
                "induction": [rows[dest, dest - LENGTH + 1] for dest in second],
            }
            for name, values in means.items():
                shown.append(scores[name].total[sequence, head] / scores[name].n[sequence])
                expected.append(torch.stack(values).mean())
    return off(torch.stack(shown), torch.stack(expected))


def _paths(
    found: Measured, model: InterventionModel, plain: PlainModel, tokens: Tensor, constants: dict[int, Tensor]
) -> None:
    """What heads add to logits, by the token and by the weights, and copying."""
    reasons = [reason for i in constants if (reason := model.logits_withheld(i))]
    if reasons:
        found.withheld["logits"] = reasons[0]
        return
    at = POSITION
    parts = logit_parts(model.residual_decomposition(tokens, at), model.read_out(), _next(tokens, at))
    found.off["logit identity"] = parts.worst_error
    frozen = {layer: FrozenPaths(plain, tokens, layer) for layer in constants}
    found.off["head to logit"] = max(
        off(parts.heads[:, layer], head_to_logit(paths, tokens, constants[layer]))
        for layer, paths in frozen.items()
    )
    maps = {layer: paths.logit_map() for layer, paths in frozen.items()}
    out = model.unembed_weights()
    ours = {
        layer: logit_effect(
            model.head_weights(layer).w_write.flatten(0, 1),
            out.w_u,
            out.final_norm_weight,
            out.centre_residual,
        ).view(maps[layer].shape)
        for layer in constants
    }
    found.off["logit effects"] = max(off(ours[layer], maps[layer]) for layer in constants)
    values = [reason for i in constants if (reason := model.values_withheld(i))]
    if values:
        found.withheld["copying"] = values[0]
        return
    scores = torch.from_numpy(copying_scores(model))
    found.off["copying"] = max(
        float((scores[layer] - copying(plain, layer, tokens, maps[layer])).abs().max()) for layer in constants
    )


def head_to_logit(paths: FrozenPaths, tokens: Tensor, constant: Tensor) -> Tensor:
    """By how much each head moves the next token's logit about the mean [n heads], all else held still."""
    rows = torch.arange(len(tokens))
    heads = []
    for head in range(len(constant)):

        def cut(z: Tensor, head: int = head) -> Tensor:
            z[:, :, head] = constant[head].to(z)
            return z

        change = -paths.change(cut)[rows, POSITION].double()
        heads.append((change - change.mean(-1, keepdim=True))[rows, _next(tokens, POSITION)])
    return torch.stack(heads, dim=1)


def copying(plain: PlainModel, layer: int, tokens: Tensor, logit_map: Tensor) -> Tensor:
    """Sum of eigenvalues over the sum of their sizes, of each head's map from tokens read to logits."""
    read = plain.read_map(layer, tokens).double()
    circuits = logit_map.double() @ read
    values = torch.linalg.eigvals(circuits)
    return values.real.sum(1) / values.abs().sum(1)


def off(ours: Tensor, expected: Tensor, centred: bool = False) -> float:
    """|ours - expected| / |expected|; with `centred` about the mean of the last axis."""
    ours, expected = ours.double(), expected.double()
    if centred:
        ours, expected = (each - each.mean(-1, keepdim=True) for each in (ours, expected))
    missed = float((ours - expected).norm() / expected.norm().clamp(min=1e-30))
    return missed if missed == missed else float("inf")


def _next(tokens: Tensor, at: Tensor) -> Tensor:
    return tokens[torch.arange(len(tokens)), at + 1]


def _centred(model: InterventionModel) -> bool:
    """Processing centres what is written to the stream where LayerNorms read it."""
    return model.processing == "processed"
