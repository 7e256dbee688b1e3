"""Whole precompute jobs on tiny random models, small enough for every test to run its own."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from sqlalchemy import Engine

from app.adapters.language_model import Processing
from app.adapters.model_sources import find_model
from app.adapters.sae_sources import CONFIG_FILE, WEIGHTS_FILE, LocalSae
from app.adapters.transformer_lens_model import TransformerLensModel, load_model
from app.domain.records import FeatureRecord, HeadRanking, HeadRecord, Ranking
from app.domain.refs import HeadRef
from app.precompute.job import run_job
from app.precompute.request import JobRequest, RunOptions
from app.services.reading.cache import RunCache
from app.store.atlas.features import get_features, list_features
from app.store.atlas.reads import LiveRun, get_heads, get_live_run, get_ranking, get_sequences
from app.store.checks import check_store
from app.store.database.engine import open_store, read_session
from tests.support.saved_saes import sae_lens
from tests.support.slow_distinct import SlowCorpus
from tests.support.store_digest import table_digest
from tests.support.tiny_models import save_tiny_gpt2, save_tiny_llama

N_HEADS, D_HEAD, CONTEXT = 4, 8, 24
D_IN = N_HEADS * D_HEAD
D_SAE = 2 * D_IN + 4
SLUG = "tiny"
MODELS: dict[str, Callable[[Path], Path]] = {"gpt2": save_tiny_gpt2, "llama": save_tiny_llama}
TEXT = (
    "The quick brown fox jumps over the lazy dog; 3 dogs bark.\nMary gave John a drink, John gave Mary two.\n"
)


@dataclass(frozen=True)
class Tiny:
    """A tiny model, its SAEs and a corpus, all in one folder."""

    root: Path
    model: Path
    saes: tuple[Path, ...]
    text: Path

    def request(self, **options: Any) -> JobRequest:
        """A job on them: 10 sequences in 3 shards of at most 4, in batches of 3."""
        return JobRequest(
            **{
                "model": str(self.model),
                "saes": tuple(LocalSae(path) for path in self.saes),
                "dataset": (str(self.text),),
                "work_dir": self.root / "work",
                "cache_dir": self.root / "cache",
                "name": SLUG,
                "context_size": CONTEXT,
                "n_prompts": 10,
                "k": 3,
                "min_active": 3,
                "shard_size": 4,
                "batch_size": 3,
                "threads": 1,
                **options,
            }
        )

    def arguments(self, store: str, *more: str) -> list[str]:
        """The same job as words of a command line."""
        words = ["precompute", "--model", str(self.model), "--dataset", str(self.text), "--name", SLUG]
        for path in self.saes:
            words += ["--sae-path", str(path)]
        words += ["--context-size", str(CONTEXT), "--n-prompts", "10", "--k", "3", "--min-active", "3"]
        words += ["--shard-size", "4", "--batch-size", "3", "--threads", "1"]
        return [*words, "--store", store, "--work-dir", str(self.root / "work"), *more]


def make_tiny(
    root: Path,
    model: str = "gpt2",
    architecture: str = "topk",
    processing: Processing = "raw",
    **options: Any,
) -> Tiny:
    """A model with one SAE per layer that fits it under the given weight processing."""
    folder = MODELS[model](root / "tiny-model")
    text = write_text(root / "corpus.txt")
    saes: list[Path] = []
    for layer in (0, 1):
        z = z_of(folder, text, layer, processing)
        saes.append(fitting_sae(root / f"sae-{layer}", z, layer, architecture, **options))
    return Tiny(root, folder, tuple(saes), text)


def write_text(path: Path, n_lines: int = 40) -> Path:
    """Text with repeats, so that features are active more than once."""
    words = TEXT.split(" ")
    generator = np.random.default_rng(5)
    lines = [" ".join(generator.choice(words, 12)) for _ in range(n_lines)]
    path.write_text("\n".join(lines))
    return path


def tiny_model(folder: Path, processing: Processing = "raw") -> TransformerLensModel:
    return load_model(find_model(str(folder), folder), processing)


def z_of(folder: Path, text: Path, layer: int, processing: Processing, n: int = 40) -> torch.Tensor:
    """hook_z [token d_in] of the text's first sequences, BOS left out."""
    model = tiny_model(folder, processing)
    ids = model.tokenizer.encode(text.read_text())
    rows = [ids[i * (CONTEXT - 1) : (i + 1) * (CONTEXT - 1)] for i in range(n)]
    rows = [[model.tokenizer.bos_token_id, *row] for row in rows if len(row) == CONTEXT - 1]
    z = model.hook_z(torch.tensor(rows), [layer])[layer]
    return z[:, 1:].flatten(0, 1).flatten(1).clone()


def fitting_sae(
    folder: Path, z: torch.Tensor, layer: int, architecture: str = "topk", **options: Any
) -> Path:
    """An SAE that reconstructs z almost wholly: its features are z's principal directions, both ways.

    Whatever its kind does to the input first is done here as well. The last 4 features are dead.
    """
    norm = options.get("normalize_activations", "none")
    x = normalised(z, norm, options.pop("factor", 1.0))
    config: dict[str, Any] = {
        "architecture": architecture.removesuffix("_rescaled"),
        "d_in": z.shape[1],
        "d_sae": 2 * z.shape[1] + 4,
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "metadata": {
            "hook_name": f"blocks.{layer}.attn.hook_z",
            "model_name": options.pop("model_name", None),
            "hook_head_index": None,
            **options.pop("metadata", {}),
        },
        **options,
    }
    if architecture.startswith("topk"):
        rescaled = architecture.endswith("_rescaled")
        config |= {"k": options.get("k", z.shape[1]), "rescale_acts_by_decoder_norm": rescaled}
    library = sae_lens.SAE.from_dict(config)
    weights = principal_weights(x, library.cfg.d_sae, bool(config["apply_b_dec_to_input"]))
    _set_weights(library, weights, architecture)
    library.save_model(folder)
    return folder


def principal_weights(x: torch.Tensor, d_sae: int, subtracts: bool) -> dict[str, torch.Tensor]:
    """Encoder and decoder of x about its mean, a feature for either sign of each principal direction."""
    mean = x.mean(0)
    _, _, directions = torch.linalg.svd((x - mean).double(), full_matrices=False)
    both = torch.cat([directions, -directions]).float()
    w_dec = torch.zeros(d_sae, x.shape[1])
    w_dec[: len(both)] = both
    b_enc = torch.zeros(d_sae)
    b_enc[len(both) :] = -1e3
    w_enc = w_dec.T.clone()
    if not subtracts:
        b_enc[: len(both)] -= both @ mean
    return {"W_enc": w_enc, "W_dec": w_dec, "b_enc": b_enc, "b_dec": mean}


def _set_weights(library: Any, weights: dict[str, torch.Tensor], architecture: str) -> None:
    d_sae = library.cfg.d_sae
    spread = torch.linspace(0.5, 2.0, d_sae)
    named = dict(library.named_parameters())
    if architecture.endswith("_rescaled"):  # the same function with rows of many lengths
        weights["W_dec"] = weights["W_dec"] * spread[:, None]
        weights["W_enc"] = weights["W_enc"] / spread
        weights["b_enc"] = weights["b_enc"] / spread
    if architecture == "gated":
        r_mag = spread.log()
        b_enc = weights.pop("b_enc")
        # Below zero, or the gate of a direction in which x does not vary would hang on the last bit.
        weights["b_gate"] = b_enc - 1e-3
        weights["r_mag"], weights["b_mag"] = r_mag, b_enc * r_mag.exp() + 0.01
        weights["W_dec"] = weights["W_dec"] / spread[:, None]
    if architecture == "jumprelu":
        weights["threshold"] = torch.full((d_sae,), 0.02)
    for name, parameter in named.items():
        parameter.data = weights[name].clone().contiguous()


def normalised(z: torch.Tensor, norm: str, factor: float = 1.0) -> torch.Tensor:
    """What the SAE's input step makes of z, written from its definition."""
    if norm == "layer_norm":
        centred = z - z.mean(-1, keepdim=True)
        return centred / (centred.std(-1, keepdim=True) + 1e-5)
    if norm == "constant_norm_rescale":
        return z * (z.shape[-1] ** 0.5 / z.norm(dim=-1, keepdim=True))
    return z * factor


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / CONFIG_FILE
    config = json.loads(path.read_text())
    config["metadata"].update(changes.pop("metadata", {}))
    path.write_text(json.dumps(config | changes))


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    path = folder / WEIGHTS_FILE
    weights = load_file(path)
    change(weights)
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, path)


@dataclass(frozen=True)
class PublishedAtlas:
    """What a store shows of the tiny atlas, read through the store's own calls."""

    engine: Engine
    run: LiveRun

    @classmethod
    def open(cls, store: str) -> "PublishedAtlas":
        engine = open_store(store, must_exist=True)
        with read_session(engine) as session:
            return cls(engine, get_live_run(session, SLUG))

    def features(self, layer: int) -> list[FeatureRecord]:
        with read_session(self.engine) as session:
            listed = list_features(session, self.run, layer, limit=10_000)
            return get_features(session, self.run, [each.ref for each in listed], with_examples=True)

    def ranking(self, head: HeadRef, ranking: Ranking, k: int = 100) -> HeadRanking:
        with read_session(self.engine) as session:
            return get_ranking(session, self.run, head, ranking, k)

    def head(self, ref: HeadRef) -> HeadRecord:
        with read_session(self.engine) as session:
            return next(record for record in get_heads(session, self.run) if record.ref == ref)

    @property
    def layers(self) -> list[int]:
        return [sae.layer for sae in self.run.record.saes]

    def slow_corpus(self) -> SlowCorpus:
        """The run's text, to read its lists by loops."""
        record = self.run.record
        with read_session(self.engine) as session:
            texts = get_sequences(session, self.run, range(record.n_sequences))
            vocabulary = RunCache().vocabulary(session, self.run)
        return SlowCorpus(
            np.stack([texts[i] for i in range(len(texts))]), vocabulary, record.model.bos_token_id
        )


def run(tiny: Tiny, store: str, how: RunOptions | None = None, **options: Any) -> str:
    return run_job(tiny.request(**options), store, how or RunOptions())


def digest_of(store: Path) -> str:
    """Of every row of a sound store."""
    engine = open_store(store)
    try:
        check_store(engine)
        return table_digest(engine)
    finally:
        engine.dispose()
