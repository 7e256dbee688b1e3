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
from app.adapters.context_limit import check_tokens, context_limit
from app.adapters.forward_pass import forward_pass
from app.adapters.language_model import LayerActivations, Processing, ReadLayer, ReadPattern, Tokenizer
from app.adapters.layer_reader import LayerReader, hook_name, hook_names
from app.adapters.library_installs import nothing_installed
from app.adapters.model_sources import ModelChecksums, ModelSource
from app.adapters.path_trace import probe_tokens
from app.adapters.path_weights import ModelWithPath, PathWeights, repeat_values, value_limit, value_width
from app.adapters.plain_model import ModulePlaces
from app.adapters.self_check import SelfCheck, check_against_plain
from app.adapters.tokenizers import HuggingFaceTokenizer
from app.domain.records import ModelRecord
from app.errors import InvalidModel

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_FLAT_RANK = 3


class TransformerLensModel(ModelWithPath):
    """A frozen TransformerBridge. See the LanguageModel protocol."""

    checksums: ModelChecksums | None = None  # of one that was loaded, before its weights were processed

    def __init__(self, bridge: Any, name: str, revision: str, processing: Processing) -> None:
        """Take a loaded bridge. Raises InvalidModel where it has no BOS token or no readable attention heads."""
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
        self.attention_layers = tuple(
            layer for layer in range(cfg.n_layers) if hook_name(layer, "hook_z") in bridge.hook_dict
        )
        if not self.attention_layers:
            raise InvalidModel(
                f"{name} has no attention heads that Head Atlas can read: no layer has a hook_z"
            )
        self.record = ModelRecord(
            name=name,
            revision=revision,
            n_layers=cfg.n_layers,
            n_heads=cfg.n_heads,
            n_key_value_heads=cfg.n_key_value_heads or cfg.n_heads,
            d_head=value_width(bridge, self.attention_layers[0]),
            d_model=cfg.d_model,
            d_vocab=cfg.d_vocab,
            bos_token_id=tokenizer.bos_token_id,
        )
        self.weights = PathWeights(bridge, self.record)
        self.self_check: SelfCheck | None = None  # made on loading

    @property
    def context_limit(self) -> int:
        return context_limit(self._bridge.original_model.config, default=self._bridge.cfg.n_ctx)

    def activations(
        self, tokens: Int[Tensor, "batch pos"], layers: Sequence[int]
    ) -> dict[int, LayerActivations]:
        """z, v and pattern of the given layers. Raises InvalidModel for a layer the model lacks."""
        self._check_layers(layers)
        cache = self._run(tokens, hook_names(layers), last_layer=max(layers))
        return {layer: self._layer(cache, layer) for layer in layers}

    def all_activations(
        self, tokens: Int[Tensor, "batch pos"]
    ) -> tuple[Tensor, dict[int, Tensor], dict[int, Tensor]]:
        """Logits, and z and pattern of each layer with heads, of one whole forward pass."""
        names = [hook_name(i, hook) for i in self.attention_layers for hook in ("hook_z", "hook_pattern")]
        with forward_pass():
            logits, cache = self._bridge.run_with_cache(tokens.to(self.device), names_filter=names)
        self._check_hooks(cache, names)
        z, patterns = (
            {i: cache[hook_name(i, hook)].float() for i in self.attention_layers}
            for hook in ("hook_z", "hook_pattern")
        )
        return logits.float(), z, patterns

    def hook_z(
        self, tokens: Int[Tensor, "batch pos"], layers: Sequence[int]
    ) -> dict[int, Float[Tensor, "batch pos n_heads d_head"]]:
        """z of the given layers alone, which is what SAE training needs."""
        self._check_layers(layers)
        names = [hook_name(layer, "hook_z") for layer in layers]
        cache = self._run(tokens, names, last_layer=max(layers))
        return {layer: self._split_heads(cache[name]) for layer, name in zip(layers, names, strict=True)}

    def read_patterns(self, tokens: Int[Tensor, "batch pos"], read: ReadPattern) -> None:
        """The pattern of every layer with heads goes to `read` as it is made."""
        self.read_layers(tokens, (), lambda *_: None, read)

    def read_layers(
        self,
        tokens: Int[Tensor, "batch pos"],
        layers: Sequence[int],
        read: ReadLayer,
        read_pattern: ReadPattern | None = None,
    ) -> None:
        """Activations of `layers` go to `read` as each is made, and every layer's pattern to `read_pattern`."""
        if layers:
            self._check_layers(layers)
        reader = LayerReader(
            self._bridge.hook_dict,
            layers,
            lambda layer, found: read(layer, self._layer(found, layer)),
            self.attention_layers if read_pattern else (),
            read_pattern,
        )
        last_layer = self.attention_layers[-1] if read_pattern else max(layers)
        # One hook for all layers: the bridge lists all of its hooks anew for each that is added.
        self._run(tokens, [], last_layer, hooks=[(reader.names.__contains__, reader.hook)])
        reader.check(self.record.name)

    def patterns(
        self, tokens: Int[Tensor, "batch pos"]
    ) -> dict[int, Float[Tensor, "batch n_heads dest src"]]:
        """The attention pattern of every layer, all at once: large, where read_patterns is not."""
        by_layer: dict[int, Tensor] = {}
        self.read_patterns(tokens, by_layer.__setitem__)
        return by_layer

    def loss(
        self,
        tokens: Int[Tensor, "batch pos"],
        layer: int | None = None,
        replacement: Float[Tensor, "batch pos n_heads d_head"] | None = None,
    ) -> Float[Tensor, "batch pos_minus_one"]:
        """Cross-entropy of each next token in nats; with z of one layer replaced, where given."""
        check_tokens(self.record.name, tokens, self.context_limit, self.record.d_vocab)
        hooks = []
        if layer is not None and replacement is not None:
            self._check_layers([layer])

            def put_in(z: Tensor, hook: Any) -> Tensor:  # noqa: ARG001
                return replacement.reshape(z.shape).to(z)

            hooks = [(f"blocks.{layer}.attn.hook_z", put_in)]
        with forward_pass():
            logits = self._bridge.run_with_hooks(
                tokens.to(self.device), fwd_hooks=hooks, return_type="logits"
            )
            log_probs = logits[:, :-1].float().log_softmax(-1)
            return -log_probs.gather(-1, tokens[:, 1:, None].to(self.device))[..., 0]

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self._bridge.W_E.device

    @property
    def dtype(self) -> torch.dtype:
        """The number format of the weights."""
        return self._bridge.W_E.dtype

    def _run(
        self,
        tokens: Int[Tensor, "batch pos"],
        names: list[str],
        last_layer: int,
        hooks: Sequence[tuple[str | Callable[[str], bool], Any]] = (),
    ) -> Any:
        """Run the model up to the attention of a layer: neither its MLP nor, in the model's last, the unembedding."""
        check_tokens(self.record.name, tokens, self.context_limit, self.record.d_vocab)
        # Once the whole attention has run: some architectures give the pattern after the output.
        block = self._bridge.blocks[last_layer]
        stop = (block.attn if last_layer in self.attention_layers else block).register_forward_hook(_stop)
        try:
            with forward_pass(), self._bridge.hooks(fwd_hooks=[*hooks]):
                _, cache = self._bridge.run_with_cache(tokens.to(self.device), names_filter=names)
        finally:
            stop.remove()
        self._check_hooks(cache, names)
        return cache

    def _check_hooks(self, cache: Any, names: list[str]) -> None:
        missing = [name for name in names if name not in cache]
        if missing:
            raise InvalidModel(f"TransformerLens gives no {missing[0]} for {self.record.name}")

    def _layer(self, cache: Any, layer: int) -> LayerActivations:
        prefix = f"blocks.{layer}.attn"
        z = self._split_heads(cache[f"{prefix}.hook_z"])
        v = cache[f"{prefix}.hook_v"]
        attention = self._bridge.blocks[layer].attn
        if hasattr(attention, "hook_kv_latent"):  # latent attention gives its heads before its positions
            v = v.transpose(1, 2)
        if (limit := value_limit(attention)) is not None:  # what hook_v shows is clipped before it is mixed
            v = v.clamp(-limit, limit)
        if v.ndim == _FLAT_RANK:
            v = v.unflatten(-1, (self.record.n_key_value_heads, self.record.d_head))
        return LayerActivations(
            z=z.float(),
            v=repeat_values(v, self.record.n_heads, dim=-2).float(),
            pattern=cache[f"{prefix}.hook_pattern"].float(),
        )

    def _split_heads(self, z: Tensor) -> Float[Tensor, "batch pos n_heads d_head"]:
        """z by head, if the bridge gives it flat, by head, or split by the width of keys where values have another."""
        return z.flatten(2).unflatten(-1, (self.record.n_heads, self.record.d_head)).float()


def _stop(module: Any, inputs: Any, output: Any) -> None:  # noqa: ARG001
    from transformer_lens.model_bridge.exceptions import StopAtLayerException

    raise StopAtLayerException(output[0] if isinstance(output, tuple) else output)


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
    check: bool = True,
) -> TransformerLensModel:
    """Load a model. `processed` folds layer norms and value biases and centres, as HookedTransformer did.

    Compatibility mode edits weights in place, so the two processings never share a bridge. `check` holds a few tokens
    against plain transformers. Raises InvalidModel, also where the checkpoint is not exactly the architecture's.
    """
    source.ask_hub()
    from transformer_lens.model_bridge import TransformerBridge

    logging.getLogger("transformer_lens").setLevel(logging.ERROR)
    checked: Any = CheckpointLoader(source.name, _library_class)
    with warnings.catch_warnings(), nothing_installed():
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
        tokenizer = HuggingFaceTokenizer(bridge.tokenizer, source.name)  # none: no model of text, with no W_E
        if processing == "processed":
            _process(bridge, source.name)
    model = TransformerLensModel(bridge, source.name, source.revision(bridge), processing)
    model.checksums = ModelChecksums(checked.checksum, tokenizer.checksum)
    if check:
        tokens = probe_tokens(bridge, model.record.bos_token_id)
        places = ModulePlaces.of(bridge, model.attention_layers)
        model.self_check = check_against_plain(model, source, places, tokens)
    return model


def _process(bridge: Any, name: str) -> None:
    dtype = bridge.W_E.dtype
    logging.disable(logging.WARNING)
    try:
        bridge.enable_compatibility_mode(disable_warnings=True)
        for parameter in bridge.parameters():  # the library adds biases in float32, whatever the rest is in
            parameter.data = parameter.data.to(dtype)
    except Exception as error:  # asserts and mismatched sizes, of a family whose weights it cannot fold
        cause = " ".join(str(error).split())[:200]
        raise InvalidModel(
            f"TransformerLens cannot process the weights of {name} ({cause}); use --processing raw"
        ) from error
    finally:
        logging.disable(logging.NOTSET)
