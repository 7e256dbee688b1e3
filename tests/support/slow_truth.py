"""The numbers of a tiny run, from transformers and the SAE's files alone, in float64 and without any of our code."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM

from app.adapters.sae_sources import CONFIG_FILE, WEIGHTS_FILE

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Attention:
    """One layer on every sequence: v [sequence src heads d_head], pattern [sequence heads dest src]."""

    v: Array
    pattern: Array

    @property
    def z(self) -> Array:
        return np.einsum("bhts,bshd->bthd", self.pattern, self.v)


def run_model(folder: Path, tokens: NDArray[np.integer], layer: int, processed: bool) -> Attention:
    """Values and patterns of the model as transformers runs it.

    Processing folds the norm's bias and the value bias away: each head's v loses a constant vector.
    """
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder, attn_implementation="eager", dtype=torch.float64
    )
    is_gpt2 = hasattr(model, "transformer")
    block = model.transformer.h[layer] if is_gpt2 else model.model.layers[layer]
    projection = block.attn.c_attn if is_gpt2 else block.self_attn.v_proj
    seen: list[torch.Tensor] = []
    handle = projection.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with torch.no_grad():
        patterns = model(
            torch.from_numpy(np.asarray(tokens, dtype=np.int64)), output_attentions=True
        ).attentions
    handle.remove()
    config = model.config
    n_heads = config.num_attention_heads
    if is_gpt2:
        width = config.n_embd
        v = seen[0][..., 2 * width :].unflatten(-1, (n_heads, -1))
        if processed:
            bias, weight = block.attn.c_attn.bias[2 * width :], block.attn.c_attn.weight[:, 2 * width :]
            v = v - (bias + block.ln_1.bias @ weight).unflatten(-1, (n_heads, -1))
    else:
        v = seen[0].unflatten(-1, (config.num_key_value_heads, -1))
        v = v.repeat_interleave(n_heads // config.num_key_value_heads, dim=2)
    return Attention(v.detach().numpy(), patterns[layer].numpy())


def logit_weights(folder: Path, layer: int) -> tuple[Array, Array, Array, bool]:
    """W_O [heads d_head d_model], the final norm's weight, W_U [d_model vocabulary], and whether it centres."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
    is_gpt2 = hasattr(model, "transformer")
    if is_gpt2:
        w_o, norm = model.transformer.h[layer].attn.c_proj.weight, model.transformer.ln_f.weight
    else:
        w_o, norm = model.model.layers[layer].self_attn.o_proj.weight.T, model.model.norm.weight
    heads = w_o.detach().numpy().reshape(model.config.num_attention_heads, -1, w_o.shape[1])
    return heads, norm.detach().numpy(), model.lm_head.weight.detach().numpy().T, is_gpt2


@dataclass(frozen=True)
class SlowSae:
    """An SAE's files, and each of its numbers by its definition."""

    config: dict[str, Any]
    weights: dict[str, Array]
    factor: float = 1.0

    @classmethod
    def read(cls, folder: Path, factor: float = 1.0) -> "SlowSae":
        weights = {name: array.astype(np.float64) for name, array in load_file(folder / WEIGHTS_FILE).items()}
        return cls(json.loads((folder / CONFIG_FILE).read_text()), weights, factor)

    def input_steps(self, z: Array) -> tuple[Array, Array]:
        """scale and shift of tokens z [token d_in]: the SAE reads scale * (z - shift)."""
        norm = self.config["normalize_activations"]
        zero, one = np.zeros(len(z)), np.ones(len(z))
        if norm == "layer_norm":
            return 1 / (z.std(-1, ddof=1) + 1e-5), z.mean(-1)
        if norm == "constant_norm_rescale":
            return np.sqrt(z.shape[1]) / np.linalg.norm(z, axis=-1), zero
        return one * self.factor, zero

    @property
    def gain(self) -> Array:
        """What a pre-activation is multiplied by, feature by feature."""
        if self.config.get("rescale_acts_by_decoder_norm"):
            return np.linalg.norm(self.weights["W_dec"], axis=1) / self.factor
        if self.config["architecture"] == "gated":
            return np.exp(self.weights["r_mag"])
        return np.ones(len(self.weights["W_dec"]))

    @property
    def read_columns(self) -> Array:
        return self.weights["W_enc"] * self.gain

    def bias(self, scale: Array, shift: Array) -> Array:
        """The part of each pre-activation [token d_sae] that no head adds."""
        gated = self.config["architecture"] == "gated"
        own = self.weights["b_mag"] if gated else self.weights["b_enc"] * self.gain
        subtracted = (
            self.weights["b_dec"] if self.config["apply_b_dec_to_input"] else 0 * self.weights["b_dec"]
        )
        constant = own - subtracted @ self.read_columns
        return constant - (scale * shift)[:, None] * self.read_columns.sum(0)

    def encode(self, z: Array) -> tuple[Array, Array]:
        """(pre-activation, activation) [token d_sae]."""
        scale, shift = self.input_steps(z)
        p = scale[:, None] * (z @ self.read_columns) + self.bias(scale, shift)
        architecture = self.config["architecture"]
        active = p > 0
        if architecture == "topk":
            k = self.config["k"]
            active &= p >= np.sort(p, axis=1)[:, -k][:, None]
        if architecture == "jumprelu":
            active &= p > self.weights["threshold"]
        if architecture == "gated":
            x = scale[:, None] * (z - shift[:, None])
            x = x - (self.weights["b_dec"] if self.config["apply_b_dec_to_input"] else 0)
            active &= x @ self.weights["W_enc"] + self.weights["b_gate"] > 0
        return p, np.where(active, p, 0)

    def contributions(self, z_by_head: Array) -> Array:
        """[token heads d_sae]: what each head adds to each pre-activation."""
        scale, _ = self.input_steps(z_by_head.reshape(len(z_by_head), -1))
        read = self.read_columns.reshape(*z_by_head.shape[1:], -1)
        return scale[:, None, None] * np.einsum("thd,hdf->thf", z_by_head, read)

    def dfa(self, attention: Attention, sequence: int, dest: int, feature: int) -> Array:
        """[heads src], one product at a time."""
        z = attention.z[sequence, dest]
        scale, _ = self.input_steps(z.reshape(1, -1))
        read = self.read_columns[:, feature].reshape(z.shape)
        n_src = attention.v.shape[1]
        out = np.zeros((len(z), n_src))
        for head in range(len(z)):
            for src in range(n_src):
                value = attention.v[sequence, src, head] @ read[head]
                out[head, src] = attention.pattern[sequence, head, dest, src] * value * scale[0]
        return out

    def directions(self) -> Array:
        """What a unit of each feature writes into z, [d_sae d_in]."""
        if self.config.get("rescale_acts_by_decoder_norm"):
            norm = np.linalg.norm(self.weights["W_dec"], axis=1, keepdims=True)
            return self.weights["W_dec"] / norm.clip(1e-30)  # the factor cancels
        return self.weights["W_dec"] / self.factor
