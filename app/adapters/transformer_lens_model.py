"""Language models through TransformerLens's bridge: hook names, grouped-query heads, weight processing.

The only importer of transformer_lens.
"""

import logging
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from app.adapters.checkpoints import CheckpointLoader
from app.adapters.language_model import (
    HeadWeights,
    LayerActivations,
    Processing,
    ReadPattern,
    Tokenizer,
    UnembedWeights,
)
from app.adapters.model_sources import ModelChecksums, ModelSource
from app.adapters.tokenizers import HuggingFaceTokenizer
from app.domain.records import ModelRecord
from app.errors import InvalidModel

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_FLAT_Z_RANK = 3


class TransformerLensModel:
    """A frozen TransformerBridge. See the LanguageModel protocol."""

    checksums: ModelChecksums | None = None  # of one that was loaded, before its weights were processed

    def __init__(self, bridge: Any, name: str, revision: str, processing: Processing) -> None:
        """Raises InvalidModel where the model has no BOS token or no readable attention heads."""
        cfg = bridge.cfg
        self.processing: Processing = processing
        self._bridge = bridge
        tokenizer = HuggingFaceTokenizer(bridge.tokenizer, name)
        self.tokenizer: Tokenizer = tokenizer
        if tokenizer.bos_token_id >= cfg.d_vocab:
            raise InvalidModel(
                f"the tokenizer of {name} has no BOS token among the model's {cfg.d_vocab} tokens, which Head "
                "Atlas needs"
            )
        self.record = ModelRecord(
            name=name,
            revision=revision,
            n_layers=cfg.n_layers,
            n_heads=cfg.n_heads,
            n_key_value_heads=cfg.n_key_value_heads or cfg.n_heads,
            d_head=cfg.d_head,
            d_model=cfg.d_model,
            d_vocab=cfg.d_vocab,
            bos_token_id=tokenizer.bos_token_id,
        )

    @property
    def context_limit(self) -> int:
        """The most positions the model can read, BOS included."""
        return int(self._bridge.cfg.n_ctx)

    def activations(
        self, tokens: Int[Tensor, "batch pos"], layers: Sequence[int]
    ) -> dict[int, LayerActivations]:
        """z, v and pattern of the given layers. Raises InvalidModel for a layer the model lacks."""
        self._check_layers(layers)
        cache = self._run(tokens, _names(layers), last_layer=max(layers))
        return {layer: self._layer(cache, layer) for layer in layers}

    def hook_z(
        self, tokens: Int[Tensor, "batch pos"], layers: Sequence[int]
    ) -> dict[int, Float[Tensor, "batch pos n_heads d_head"]]:
        """Only z of the given layers: what SAE training needs."""
        self._check_layers(layers)
        names = [_hook_name(layer, "hook_z") for layer in layers]
        cache = self._run(tokens, names, last_layer=max(layers))
        return {layer: self._split_heads(cache[name]) for layer, name in zip(layers, names, strict=True)}

    def read_patterns(
        self, tokens: Int[Tensor, "batch pos"], read: ReadPattern, layers: Sequence[int] = ()
    ) -> dict[int, LayerActivations]:
        """Every layer's pattern goes to `read` as it is made. Returns the activations of `layers`."""
        n_layers = self.record.n_layers
        if layers:
            self._check_layers(layers)
        left = {_hook_name(layer, "hook_pattern"): layer for layer in range(n_layers)}
        wanted = frozenset(left)

        def hook_pattern(pattern: Tensor, hook: Any) -> None:
            read(left.pop(hook.name), pattern)

        # One hook for all layers: the bridge lists all of its hooks anew for each that is added.
        cache = self._run(
            tokens, _names(layers), last_layer=n_layers - 1, hooks=[(wanted.__contains__, hook_pattern)]
        )
        if left:
            raise InvalidModel(
                f"{self.record.name} has no readable attention pattern in layer {min(left.values())}"
            )
        return {layer: self._layer(cache, layer) for layer in layers}

    def patterns(
        self, tokens: Int[Tensor, "batch pos"]
    ) -> dict[int, Float[Tensor, "batch n_heads dest src"]]:
        """The attention pattern of every layer, all at once: large, where read_patterns is not."""
        found: dict[int, Tensor] = {}
        self.read_patterns(tokens, found.__setitem__)
        return found

    def loss(
        self,
        tokens: Int[Tensor, "batch pos"],
        layer: int | None = None,
        replacement: Float[Tensor, "batch pos n_heads d_head"] | None = None,
    ) -> Float[Tensor, "batch pos_minus_one"]:
        """Cross-entropy of each next token in nats; with z of one layer replaced, where given."""
        hooks = []
        if layer is not None and replacement is not None:
            self._check_layers([layer])

            def put_in(z: Tensor, hook: Any) -> Tensor:
                del hook
                return replacement.reshape(z.shape).to(z)

            hooks = [(f"blocks.{layer}.attn.hook_z", put_in)]
        with torch.inference_mode():
            logits = self._bridge.run_with_hooks(
                tokens.to(self.device), fwd_hooks=hooks, return_type="logits"
            )
            log_probs = logits[:, :-1].float().log_softmax(-1)
            return -log_probs.gather(-1, tokens[:, 1:, None].to(self.device))[..., 0]

    def head_weights(self, layer: int) -> HeadWeights:
        """W_V and W_O of one layer; values of a grouped-query model are repeated for each head."""
        self._check_layers([layer])
        attention = self._bridge.blocks[layer].attn
        w_v = self._repeat_values(attention.W_V.detach(), dim=0)
        return HeadWeights(
            w_v=w_v.float(),
            w_o=attention.W_O.detach().float(),
            input_norm_weight=self._norm_weight(self._bridge.blocks[layer].ln1),
        )

    def unembed_weights(self) -> UnembedWeights:
        """The final norm's weight and W_U, in float32."""
        return UnembedWeights(
            w_u=self._bridge.W_U.detach().float(),
            final_norm_weight=self._norm_weight(self._bridge.ln_final),
            centre_residual=not str(self._bridge.cfg.normalization_type).startswith("RMS"),
        )

    def embedding(self) -> Float[Tensor, "d_vocab d_model"]:
        """W_E in float32."""
        return self._bridge.W_E.detach().float()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self._bridge.W_E.device

    def _norm_weight(self, norm: Any) -> Float[Tensor, " d_model"]:
        weight = getattr(norm, "weight", None)
        if weight is None:
            return torch.ones(self.record.d_model, device=self.device)
        offset = (
            1 if getattr(self._bridge.cfg, "rmsnorm_uses_offset", False) else 0
        )  # Gemma stores weight - 1
        return weight.detach().float() + offset

    def _run(
        self,
        tokens: Int[Tensor, "batch pos"],
        names: list[str],
        last_layer: int,
        hooks: Sequence[tuple[str | Callable[[str], bool], Any]] = (),
    ) -> Any:
        """Up to the attention of the last layer: neither its MLP nor, in the model's last, the unembedding."""
        stop = (_hook_name(last_layer, "hook_out"), _stop)
        with torch.inference_mode(), self._bridge.hooks(fwd_hooks=[*hooks, stop]):
            _, cache = self._bridge.run_with_cache(tokens.to(self.device), names_filter=names)
        missing = [name for name in names if name not in cache]
        if missing:
            near = [name for name in self._bridge.hook_dict if name.endswith(missing[0].rsplit(".", 1)[1])]
            raise InvalidModel(
                f"{self.record.name} has no hook {missing[0]}; the nearest are {', '.join(near[:5]) or 'none'}"
            )
        return cache

    def _layer(self, cache: Any, layer: int) -> LayerActivations:
        prefix = f"blocks.{layer}.attn"
        z = self._split_heads(cache[f"{prefix}.hook_z"])
        v = cache[f"{prefix}.hook_v"]
        if v.ndim == _FLAT_Z_RANK:
            v = v.unflatten(-1, (self.record.n_key_value_heads, self.record.d_head))
        return LayerActivations(
            z=z.float(),
            v=self._repeat_values(v, dim=-2).float(),
            pattern=cache[f"{prefix}.hook_pattern"].float(),
        )

    def _split_heads(self, z: Tensor) -> Float[Tensor, "batch pos n_heads d_head"]:
        if z.ndim == _FLAT_Z_RANK:  # the bridge gives z flat for some architectures
            z = z.unflatten(-1, (self.record.n_heads, self.record.d_head))
        return z.float()

    def _repeat_values(self, v: Tensor, dim: int) -> Tensor:
        repeats = self.record.n_heads // v.shape[dim]
        return v if repeats == 1 else v.repeat_interleave(repeats, dim=dim)

    def _check_layers(self, layers: Sequence[int]) -> None:
        if not layers:
            raise ValueError("no layers were asked for")
        wrong = [layer for layer in layers if not 0 <= layer < self.record.n_layers]
        if wrong:
            raise InvalidModel(
                f"{self.record.name} has layers 0 to {self.record.n_layers - 1}, not {wrong[0]}"
            )


def _stop(output: Tensor, hook: Any) -> None:
    from transformer_lens.model_bridge.exceptions import StopAtLayerException

    del hook
    raise StopAtLayerException(output)


def _hook_name(layer: int, hook: str) -> str:
    return f"blocks.{layer}.attn.{hook}"


def _names(layers: Sequence[int]) -> list[str]:
    """The hooks of LayerActivations."""
    return [_hook_name(layer, hook) for layer in layers for hook in ("hook_z", "hook_v", "hook_pattern")]


def _library_class(config: Any) -> Any:
    from transformer_lens.model_bridge.sources.transformers import (
        determine_architecture_from_hf_config,
        get_hf_model_class_for_architecture,
    )

    return get_hf_model_class_for_architecture(determine_architecture_from_hf_config(config))


def load_model(
    source: ModelSource,
    processing: Processing = "raw",
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> TransformerLensModel:
    """Load a model. `processed` folds layer norms and value biases and centres, as HookedTransformer did.

    Compatibility mode edits weights in place, so the two processings never share a bridge.
    Raises InvalidModel with the name and the cause, also where the checkpoint is not exactly the architecture's.
    """
    from transformer_lens.model_bridge import TransformerBridge

    logging.getLogger("transformer_lens").setLevel(logging.ERROR)
    checked: Any = CheckpointLoader(source.name, _library_class)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            bridge = TransformerBridge.boot_transformers(
                source.location,
                device=device,
                dtype=dtype,
                revision=source.requested_revision,
                model_class=checked,
            )
        except InvalidModel:
            raise
        except Exception as error:  # the libraries raise many types for a wrong name; all mean one thing here
            raise InvalidModel(source.explain(error)) from error
        bridge.eval()
        if processing == "processed":
            bridge.enable_compatibility_mode(disable_warnings=True)
    model = TransformerLensModel(bridge, source.name, source.revision(bridge), processing)
    model.checksums = ModelChecksums(
        checked.checksum, HuggingFaceTokenizer(bridge.tokenizer, source.name).checksum
    )
    return model
