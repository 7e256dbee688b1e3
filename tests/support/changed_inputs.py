"""Plans of a tiny job, and changes of its files that each must make another run of it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from app.precompute.plan import RunPlan
from app.precompute.prepare import prepare
from tests.support.tiny_jobs import Tiny, edit_config, edit_weights

RAW = {"processing": "raw"}


def plan_of(tiny: Tiny, **options: Any) -> RunPlan:
    return prepare(tiny.request(**{**RAW, **options}))[0].plan


# Files, changed one by one; the same command on them.


@dataclass(frozen=True)
class InputChange:
    """Something done to a file, and the part of the plan that must tell of it."""

    part: str
    do: Callable[[Tiny], None]
    labels_stay: bool = True  # whether labels of the SAEs' features still belong to them


def tokenizer_words(tiny: Tiny) -> None:
    path = tiny.model / "tokenizer.json"
    rules = json.loads(path.read_text())
    del rules["model"]["merges"][-1]
    path.write_text(json.dumps(rules))


def json_of(name: str, **changes: Any) -> Callable[[Tiny], None]:
    def edit(tiny: Tiny) -> None:
        path = tiny.model / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return edit


def model_weights(tiny: Tiny) -> None:
    path = tiny.model / "model.safetensors"
    weights = load_file(path)
    weights["transformer.h.0.mlp.c_fc.bias"][3] += 1e-6
    save_file(weights, path, {"format": "pt"})


def sae_weight(name: str) -> Callable[[Tiny], None]:
    def nudge(weights: dict[str, torch.Tensor]) -> None:
        weights[name].view(-1)[-1] += 0.5

    return lambda tiny: edit_weights(tiny.saes[1], nudge)


def longer_text(tiny: Tiny) -> None:
    tiny.text.write_text(tiny.text.read_text().replace("dog", "cat", 1))


CHANGES: dict[str, InputChange] = {
    "k": InputChange("saes", lambda tiny: edit_config(tiny.saes[1], k=5)),
    "b_dec subtracted": InputChange("saes", lambda tiny: edit_config(tiny.saes[1], apply_b_dec_to_input=False)),
    "rescaled": InputChange("saes", lambda tiny: edit_config(tiny.saes[1], rescale_acts_by_decoder_norm=True)),
    "normalisation": InputChange(
        "saes", lambda tiny: edit_config(tiny.saes[1], normalize_activations="layer_norm")
    ),
    "published l0": InputChange(
        "saes", lambda tiny: edit_config(tiny.saes[1], metadata={"head_atlas_l0": 6.0})
    ),
    **{
        f"SAE {name}": InputChange("saes", sae_weight(name), labels_stay=False)
        for name in ("W_enc", "W_dec", "b_enc", "b_dec")
    },
    "model configuration": InputChange("model_checksum", json_of("config.json", layer_norm_epsilon=2e-5)),
    "model weight": InputChange("model_checksum", model_weights),
    "tokenizer rules": InputChange("tokenizer_checksum", tokenizer_words),
    "tokenizer roles": InputChange("tokenizer_checksum", json_of("tokenizer_config.json", eos_token="<bos>")),
    "text": InputChange("corpus_checksum", longer_text),
}  # fmt: skip
