"""What the pages say of a small run on one family, against slow loops over the plain model's activations."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.adapters.language_model import Processing
from app.adapters.sae_sources import LocalSae
from app.domain.refs import FeatureRef, HeadRef
from app.errors import InvalidModel
from app.services.features.page import feature_page
from app.services.heads.page import HeadQuestion, head_page
from app.services.reading.context import AtlasContext
from app.services.reading.page_json import page_json
from app.store.atlas.reads import get_sequences
from app.store.database.engine import read_session
from tests.parity.frozen import FrozenPaths
from tests.parity.plain import PlainModel
from tests.support.slow_truth import Attention, SlowSae
from tests.support.tiny_jobs import PublishedAtlas, Tiny, fitting_sae, run, write_text

Array = NDArray[np.float64]
N_SEQUENCES, N_FEATURES = 6, 4


@dataclass(frozen=True)
class Truth:
    """The plain model on the run's sequences, and what an SAE makes of it."""

    attention: Attention
    sae: SlowSae
    pre_activation: Array  # [sequence pos d_sae]
    activation: Array
    contribution: Array  # [sequence pos heads d_sae]
    logits: Array | None  # [heads d_head d_vocab]

    @classmethod
    def of(cls, attention: Attention, sae: SlowSae, logits: Array | None) -> "Truth":
        z = attention.z
        places = z.shape[:2]
        p, acts = (each.reshape(*places, -1) for each in sae.encode(z.reshape(places[0] * places[1], -1)))
        parts = sae.contributions(z.reshape(-1, *z.shape[2:])).reshape(*places, z.shape[2], -1)
        return cls(attention, sae, p, acts, parts, logits)


class Pairs:
    """Numbers of pages beside those that they should be, by what they are."""

    def __init__(self) -> None:
        self._by_name: dict[str, list[tuple[float, float]]] = {}

    def add(self, name: str, shown: Any, expected: Any) -> None:
        self._by_name.setdefault(name, []).append((float("nan") if shown is None else shown, expected))

    def off(self) -> dict[str, float]:
        """|shown - expected| / |expected| of each kind."""
        found = {}
        for name, pairs in self._by_name.items():
            shown, expected = np.array(pairs, dtype=np.float64).T
            missed = np.linalg.norm(shown - expected) / max(float(np.linalg.norm(expected)), 1e-30)
            found[name] = float(missed) if np.isfinite(missed) else float("inf")
        return found


def measure_pages(
    folder: Path,
    root: Path,
    processing: Processing,
    dtype: torch.dtype,
    with_logits: bool = True,
    folds: bool = False,
) -> dict[str, float] | str:
    """Relative differences by kind of number, or why the run was refused. `folds`: z lacks its value bias."""
    plain = PlainModel(folder, dtype)
    layer = sorted(plain.projections)[-1]
    random = torch.randint(5, 300, (12, 24), generator=torch.Generator().manual_seed(9))
    z = plain.see(random).z[layer].float()
    sae = fitting_sae(root / "sae", z.flatten(0, 1).flatten(1), layer)
    tiny = Tiny(root, folder, (sae,), write_text(root / "corpus.txt"))
    options = {"n_prompts": N_SEQUENCES, "processing": processing, "dtype": str(dtype).removeprefix("torch.")}
    try:
        run(tiny, str(root / "store.sqlite"), saes=(LocalSae(sae),), **options)
    except InvalidModel as error:
        return str(error)
    published = PublishedAtlas.open(str(root / "store.sqlite"))
    with read_session(published.engine) as session:
        context = AtlasContext(session, published.run)
        stored = get_sequences(session, published.run, range(published.run.record.n_sequences))
        tokens = torch.from_numpy(np.stack([stored[index] for index in sorted(stored)]).astype(np.int64))
        features = [each.ref for each in published.features(layer)][:N_FEATURES]
        logits = _logit_map(folder, tokens, layer, dtype) if with_logits else None
        truth = Truth.of(_attention(plain, tokens, layer, folds), SlowSae.read(sae), logits)
        pairs = Pairs()
        for head in range(plain.n_heads):
            ref = HeadRef(layer, head)
            _check_head(pairs, json.loads(page_json(head_page(context, HeadQuestion(ref)))), truth, head)
            for feature in features:
                _check_feature(pairs, json.loads(page_json(feature_page(context, feature, ref))), truth, head)
    published.engine.dispose()
    return pairs.off()


def _attention(plain: PlainModel, tokens: Tensor, layer: int, folds: bool) -> Attention:
    seen = plain.see(tokens)
    v, pattern = seen.v[layer].double(), seen.pattern[layer].double()
    if folds:
        v = v - plain.folded_values(layer, tokens).double()
    return Attention(v.numpy(), pattern.numpy())


def _logit_map(folder: Path, tokens: Tensor, layer: int, dtype: torch.dtype) -> Array:
    exact = PlainModel(folder, rounded=dtype == torch.bfloat16)
    return FrozenPaths(exact, tokens[:2], layer).logit_map().double().numpy()


def _check_feature(pairs: Pairs, page: dict[str, Any], truth: Truth, head: int) -> None:
    index = FeatureRef.parse(page["feature"]).index
    for example in (pair["example"] for group in page["groups"] for pair in group["pairs"]):
        _check_example(pairs, example, truth, head, index)
    counted = truth.activation[:, 1:, index]
    active = counted > 0
    pairs.add("density", page["density"], active.mean())
    pairs.add("mean activation", page["mean_activation"], counted[active].mean())
    pairs.add("largest activation", page["max_activation"], counted.max())
    norms = np.linalg.norm(truth.sae.weights["W_dec"][index].reshape(len(page["heads"]), -1), axis=1)
    part = truth.contribution[:, 1:, :, index]
    whole = truth.pre_activation[:, 1:, index]
    for each, norm, c in zip(page["heads"], norms, np.moveaxis(part, 2, 0), strict=True):
        pairs.add("decoder weight", each["decoder_weight_share"], norm / norms.sum())
        for over, chosen in (("active", active), ("all", np.ones_like(active))):
            share = np.cov(c[chosen], whole[chosen])[0, 1] / whole[chosen].var(ddof=1)
            pairs.add(f"FVE over {over} tokens", each["fve"][over]["covariance_share"], share)
    _check_logits(pairs, page["promoted"], page["suppressed"], truth, index, None)
    if page["head_promoted"] or truth.logits is None:  # stored of the heads that show the feature
        _check_logits(pairs, page["head_promoted"], page["head_suppressed"], truth, index, head)


def _check_example(pairs: Pairs, example: dict[str, Any], truth: Truth, head: int, index: int) -> None:
    sequence, position = example["sequence"], example["position"]
    pairs.add("activation", example["activation"], truth.activation[sequence, position, index])
    pairs.add("pre-activation", example["pre_activation"], truth.pre_activation[sequence, position, index])
    pairs.add(
        "contribution", example["head_contribution"], truth.contribution[sequence, position, head, index]
    )
    dfa = truth.sae.dfa(truth.attention, sequence, position, index)[head]
    pairs.add("DFA", example["source_dfa"], dfa[example["source_position"]])
    pairs.add("strongest source", example["source_dfa"], dfa[: position + 1].max())
    pairs.add("DFA identity", 1 + example["residual"], 1)


def _check_logits(
    pairs: Pairs, promoted: list[Any], suppressed: list[Any], truth: Truth, index: int, head: int | None
) -> None:
    if truth.logits is None:
        pairs.add("nothing said of logits", len(promoted) + len(suppressed), 0)
        return
    assert promoted
    n_heads, width, _ = truth.logits.shape
    slices = truth.sae.directions()[index].reshape(n_heads, width)
    by_head = np.einsum("hd,hdv->hv", slices, truth.logits)
    effect = by_head.sum(0) if head is None else by_head[head]
    ordered = np.sort(effect)
    for place, (top, bottom) in enumerate(zip(promoted, suppressed, strict=True)):
        pairs.add("logit effects", top["logit"], effect[top["token_id"]])
        pairs.add("logit effects", bottom["logit"], effect[bottom["token_id"]])
        pairs.add("tokens promoted", top["logit"], ordered[-1 - place])
        pairs.add("tokens promoted", bottom["logit"], ordered[place])


def _check_head(pairs: Pairs, page: dict[str, Any], truth: Truth, head: int) -> None:
    """Scores over the run's own text, one destination at a time."""
    pattern = truth.attention.pattern[:, head]
    scores: dict[str, list[float]] = {"bos_attention": [], "entropy": [], "query_key_distance": []}
    for sequence in pattern:
        for dest in range(1, len(sequence)):
            row = sequence[dest]
            scores["bos_attention"].append(row[0])
            scores["entropy"].append(-sum(p * np.log(p) for p in row if p > 0))
            scores["query_key_distance"].append(sum(p * (dest - src) for src, p in enumerate(row)))
    for name, values in scores.items():
        pairs.add(name.replace("_", " "), page["scores"][name], np.mean(values))
    for feature in page["features"]:
        index = FeatureRef.parse(feature["feature"]).index
        _check_logits(pairs, feature["promoted"], feature["suppressed"], truth, index, None)
        _check_logits(pairs, feature["head_promoted"], feature["head_suppressed"], truth, index, head)
        for example in feature["examples"][:5]:
            _check_example(pairs, example, truth, head, index)
