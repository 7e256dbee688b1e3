"""SAEDashboard on the inputs of `peer.py`, by the Python of an environment of its own.

    PEER_PYTHON benchmarks/peer_dashboard.py MODEL TOKENS SAE --layer 17 --features 1024 --minibatch 256

Builds the model in TransformerLens's own class from the checkpoint, since its table of names has no SmolLM2.
Prints one line of JSON: seconds after loading, and peak memory.
"""

import argparse
import json
import resource
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from sae_lens import SAE, HookedSAETransformer
from transformer_lens import HookedTransformerConfig
from transformer_lens.pretrained.weight_conversions import convert_llama_weights
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

MINIBATCH_TOKENS = 16  # sequences of a forward pass, as Head Atlas has them


# What is asked of SAEDashboard, which is installed in the peer's environment alone.
class MakeConfig(Protocol):
    """The class of its settings."""

    def __call__(
        self,
        *,
        hook_point: str,
        features: Sequence[int],
        minibatch_size_features: int,
        minibatch_size_tokens: int,
        use_dfa: bool,
        device: str,
    ) -> object: ...


class FeatureData(Protocol):
    """What it makes: a page's data for each feature."""

    @property
    def feature_data_dict(self) -> Mapping[int, object]: ...


class Runner(Protocol):
    """One that has its settings."""

    def run(self, *, encoder: SAE, model: HookedSAETransformer, tokens: torch.Tensor) -> FeatureData: ...


class MakeRunner(Protocol):
    """The class of runners."""

    def __call__(self, config: object, /) -> Runner: ...


def dashboard() -> tuple[MakeConfig, MakeRunner]:
    """The classes of SAEDashboard's settings and of its runner."""
    settings, runner = (import_module(f"sae_dashboard.{name}") for name in ("sae_vis_data", "sae_vis_runner"))
    return settings.SaeVisConfig, runner.SaeVisRunner


def main() -> None:
    """Load, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("model", "tokens", "sae"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--layer", type=int, default=17)
    parser.add_argument("--features", type=int, default=1024)
    parser.add_argument("--minibatch", type=int, default=256)
    options = parser.parse_args()
    model = load_model(options.model)
    sae = SAE.load_from_disk(options.sae, device="cpu")
    hook = f"blocks.{options.layer}.attn.hook_z"
    sae.cfg.hook_name = hook  # where the peer looks for it
    tokens = torch.from_numpy(np.load(options.tokens)).long()
    make_config, make_runner = dashboard()
    config = make_config(
        hook_point=hook,
        features=list(range(options.features)),
        minibatch_size_features=options.minibatch,
        minibatch_size_tokens=MINIBATCH_TOKENS,
        use_dfa=True,
        device="cpu",
    )
    began = time.perf_counter()
    data = make_runner(config).run(encoder=sae, model=model, tokens=tokens)
    seconds = time.perf_counter() - began
    figures = {
        "minibatch": options.minibatch,
        "n_features": len(data.feature_data_dict),
        "seconds": seconds,
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    print(json.dumps(figures))


def load_model(folder: Path) -> HookedSAETransformer:
    """The checkpoint as a HookedTransformer, its weights unprocessed."""
    stored = json.loads((folder / "config.json").read_text())
    rotary_base = stored["rope_parameters"]["rope_theta"]  # which the peer's older library reads elsewhere
    source = LlamaForCausalLM.from_pretrained(
        folder, config=LlamaConfig.from_pretrained(folder, rope_theta=rotary_base), dtype=torch.float32
    )
    config = HookedTransformerConfig(
        n_layers=stored["num_hidden_layers"],
        d_model=stored["hidden_size"],
        d_head=stored["head_dim"],
        n_heads=stored["num_attention_heads"],
        n_key_value_heads=stored["num_key_value_heads"],
        d_mlp=stored["intermediate_size"],
        d_vocab=stored["vocab_size"],
        n_ctx=2048,
        act_fn="silu",
        eps=stored["rms_norm_eps"],
        normalization_type="RMS",
        final_rms=True,
        gated_mlp=True,
        positional_embedding_type="rotary",
        rotary_adjacent_pairs=False,
        rotary_dim=stored["head_dim"],
        rotary_base=rotary_base,
        original_architecture="LlamaForCausalLM",
        model_name="SmolLM2-135M",
        device="cpu",
    )
    model = HookedSAETransformer(config)
    model.tokenizer = load_tokenizer(folder, stored)
    model.load_state_dict(convert_llama_weights(source, config), strict=False)
    check_logits(model, source)
    return model.eval()


def load_tokenizer(folder: Path, stored: dict[str, Any]) -> PreTrainedTokenizerFast:
    """The tokenizer's file alone: the class that its settings name is newer than the peer's library."""
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    words = tokenizer.convert_ids_to_tokens([stored["bos_token_id"], stored["eos_token_id"]])
    tokenizer.add_special_tokens({"bos_token": words[0], "eos_token": words[1], "pad_token": words[1]})
    return tokenizer


def check_logits(model: HookedSAETransformer, source: LlamaForCausalLM) -> None:
    """Stop where the two models are not the same: a benchmark of another model says nothing."""
    tokens = torch.arange(1, 33)[None]
    with torch.inference_mode():
        difference = (model(tokens) - source(tokens).logits).abs().max().item()
    if not difference < 1e-2:
        raise SystemExit(f"the peer's model differs from the checkpoint's: logits by {difference:.3g}")


if __name__ == "__main__":
    main()
