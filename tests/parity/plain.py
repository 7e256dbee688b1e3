"""A model through plain transformers with eager attention: what the matrix holds the app's numbers against.

Nothing here is the app's. Values and patterns are what attention itself was given and gave.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig

from tests.parity.hooks import after, at_scale, before, is_norm
from tests.support.model_families import model_class

N_BLOCKS = 3  # of every family in tests/support/model_families.py
OUTPUT_NAMES = ("o_proj", "out_proj", "dense", "c_proj", "Wo")
VALUE_NAMES = ("v_proj", "value", "query_key_value", "Wqkv", "c_attn", "qkv_proj", "qkv")


@dataclass
class Seen:
    """One forward pass, by layer: z and v [batch pos heads d_head], pattern [batch heads dest src], stream in."""

    z: dict[int, Tensor] = field(default_factory=dict)
    v: dict[int, Tensor] = field(default_factory=dict)
    pattern: dict[int, Tensor] = field(default_factory=dict)
    stream: dict[int, Tensor] = field(default_factory=dict)
    logits: Tensor = field(default_factory=lambda: torch.zeros(0))

    def loss(self, tokens: Tensor) -> Tensor:
        """Cross-entropy of each next token [batch pos-1]."""
        log_prob = self.logits[:, :-1].double().log_softmax(-1)
        return -log_prob.gather(-1, tokens[:, 1:, None])[..., 0]


class PlainModel:
    """The model of a folder, and where its layers have their attention."""

    def __init__(self, folder: Path, dtype: torch.dtype = torch.float32, rounded: bool = False) -> None:
        """`rounded`: with weights that went through bfloat16."""
        self.model: Any = model_class(AutoConfig.from_pretrained(folder).model_type).from_pretrained(
            folder, attn_implementation="eager", dtype=torch.bfloat16 if rounded else dtype
        )
        self.model = self.model.to(dtype).eval()
        self.blocks = _blocks(self.model)
        self.projections = {i: found for i, b in enumerate(self.blocks) if (found := _projection(b))}
        config = self.model.config.get_text_config()
        self.n_heads = int(getattr(config, "num_attention_heads", None) or config.num_heads)
        self.cap = any(
            "softcap" in name and value for name, value in vars(config).items() if "att" not in name
        )

    @property
    def has_router(self) -> bool:
        """Whether tokens are sent to some of several experts."""
        return any("expert" in name for name, _ in self.model.named_modules())

    @property
    def d_head(self) -> int:
        """The width of values."""
        projection = next(iter(self.projections.values()))
        n_in = projection.weight.shape[0 if type(projection).__name__ == "Conv1D" else 1]
        return int(n_in) // self.n_heads

    def see(self, tokens: Tensor) -> Seen:
        """One forward pass with everything that is compared."""
        seen = Seen()
        with ExitStack() as stack, torch.no_grad():
            for layer, block in enumerate(self.blocks):
                stack.enter_context(before(block, _keep(seen.stream, layer)))
            for layer, projection in self.projections.items():
                stack.enter_context(before(projection, _keep(seen.z, layer)))
                if (values := self.value_projection(layer)) is not None:
                    stack.enter_context(after(values, self._keep_values(seen, layer)))
            stack.enter_context(self._eager_attention_kept(seen))
            out = self.model(tokens, output_attentions=True, use_cache=False)
        seen.logits = out.logits
        if not seen.pattern:
            given = [each for each in out.attentions if each is not None]
            seen.pattern = dict(zip(self.projections, given, strict=True))
        for layer, z in seen.z.items():
            seen.z[layer] = z.reshape(*tokens.shape, self.n_heads, -1)
            v = seen.v[layer]
            seen.v[layer] = v.repeat_interleave(self.n_heads // v.shape[2], dim=2)
            stream = seen.stream[layer]
            seen.stream[layer] = stream.reshape(*tokens.shape, stream.shape[-1])
        return seen

    @contextmanager
    def _eager_attention_kept(self, seen: Seen) -> Iterator[None]:
        """Values and patterns of the function that computes attention, in families that have one."""
        module = sys.modules[type(self.blocks[-1]).__module__]  # of the text model, where there is more
        eager = getattr(module, "eager_attention_forward", None)
        layers = iter(self.projections)

        def kept(of: Any, query: Tensor, key: Tensor, value: Tensor, *rest: Any, **named: Any) -> Any:
            out = eager(of, query, key, value, *rest, **named)
            layer = next(layers)
            seen.v[layer], seen.pattern[layer] = value.transpose(1, 2), out[1]
            return out

        if eager is not None:
            module.eager_attention_forward = kept  # type: ignore[attr-defined]
        try:
            yield
        finally:
            if eager is not None:
                module.eager_attention_forward = eager  # type: ignore[attr-defined]

    def value_projection(self, layer: int) -> nn.Module | None:
        """The matrix that gives a layer's values, alone or with queries and keys."""
        modules = {name: m for name, m in self.blocks[layer].named_modules() if "linear_attn" not in name}
        named = [m for each in VALUE_NAMES for name, m in modules.items() if name.split(".")[-1] == each]
        return next(iter(named), None)

    def _keep_values(self, seen: Seen, layer: int) -> Callable[[Tensor, Any], None]:
        def keep(_read: Tensor, out: Tensor) -> None:
            seen.v[layer] = self.split_values(layer, out)

        return keep

    def split_values(self, layer: int, output: Tensor) -> Tensor:
        """v [batch pos heads d_head] of what a layer's value projection gives."""
        projection, family, width = self.value_projection(layer), self.model.config.model_type, self.d_head
        name = next(n for n, m in self.blocks[layer].named_modules() if m is projection).split(".")[-1]
        if output.ndim == 2:
            output = output[None]
        if name in ("v_proj", "value"):
            return output.unflatten(-1, (-1, width))
        config = self.model.config
        if family in ("bloom", "gpt_neox") or (family == "falcon" and _has_values_by_head(config)):
            return output.unflatten(-1, (self.n_heads, 3, width))[..., 2, :]
        if family == "falcon" and config.new_decoder_architecture:  # after the queries of those that share it
            return output.unflatten(-1, (config.num_kv_heads, -1, width))[..., -1, :]
        if family == "codegen":  # four parts, each with queries, values and keys of a quarter of the heads
            return output.unflatten(-1, (4, 3, -1))[..., 1, :].flatten(-2).unflatten(-1, (-1, width))
        if family in ("falcon", "gpt_bigcode"):  # one key and one value for all heads, last
            return output[..., -width:].unflatten(-1, (1, width))
        n_all = output.shape[-1] // width
        n_values = (n_all - self.n_heads) // 2
        return output[..., -n_values * width :].unflatten(-1, (n_values, width))

    def read_map(self, layer: int, tokens: Tensor) -> Tensor:
        """From each token's embedding to each head's value, norms at scale 1 [heads d_vocab d_head]."""
        embedding = self.model.get_input_embeddings()
        x = embedding.weight
        with torch.no_grad():
            for norm in self._norms_before(layer, tokens):
                x = at_scale(norm, x, norm.forward(x), torch.ones(1)) - norm.forward(torch.zeros_like(x[:1]))
            values = self._values_of(layer, x) - self._values_of(layer, torch.zeros_like(x[:1]))
        return values.transpose(0, 1)

    def folded_values(self, layer: int, tokens: Tensor) -> Tensor:
        """The value that each head gets where the norm gives its bias alone [heads d_head]; 0 in latent attention."""
        if self.value_projection(layer) is None:
            return torch.zeros(self.n_heads, self.d_head)
        x = torch.zeros(1, self.model.config.get_text_config().hidden_size, dtype=self.model.dtype)
        with torch.no_grad():
            for norm in self._norms_before(layer, tokens)[-1:]:
                x = norm.forward(x)
            return self._values_of(layer, x)[0]

    def _values_of(self, layer: int, x: Tensor) -> Tensor:
        """[n heads d_head] of what attention reads [n d_model]."""
        projection = self.value_projection(layer)
        assert projection is not None
        split = self.split_values(layer, projection(x[None]))[0]
        return split.repeat_interleave(self.n_heads // split.shape[1], dim=1)

    def _norms_before(self, layer: int, tokens: Tensor) -> list[Any]:
        """The norm of the embedding, and the one that a layer's attention reads, where there are such."""
        projection = self.value_projection(layer)
        assert projection is not None
        reads: list[Tensor] = []
        norms: list[tuple[nn.Module, Tensor, Tensor]] = []
        embedded: list[Tensor] = []
        with ExitStack() as stack, torch.no_grad():
            stack.enter_context(before(projection, lambda args: reads.append(args[0])))
            embedding = self.model.get_input_embeddings()
            stack.enter_context(after(embedding, lambda _read, out: embedded.append(out)))
            for norm in (m for m in self.model.modules() if is_norm(m)):
                stack.enter_context(after(norm, _keep_call(norms, norm)))
            self.model(tokens, use_cache=False)
        blocks = {module for block in self.blocks for module in block.modules()}
        first = [norm for norm, read, _ in norms if norm not in blocks and _same(read, embedded[0])]
        inside = set(self.blocks[layer].modules())
        return first + [norm for norm, _, out in norms if norm in inside and _same(out, reads[0])]

    def with_z(self, tokens: Tensor, layer: int, edit: Callable[[Tensor], Tensor]) -> Tensor:
        """Logits with the z of one layer [batch pos heads d_head] edited."""

        def replace(args: tuple[Any, ...]) -> Tensor:
            z = args[0].reshape(*tokens.shape, self.n_heads, -1)
            return edit(z.clone()).reshape(args[0].shape)

        with before(self.projections[layer], replace), torch.no_grad():
            return self.model(tokens, use_cache=False).logits


def _has_values_by_head(falcon: Any) -> bool:
    """Whether each head of a Falcon has its own query, key and value, one after the other."""
    return not falcon.new_decoder_architecture and not falcon.multi_query


def _keep_call(
    calls: list[tuple[nn.Module, Tensor, Tensor]], norm: nn.Module
) -> Callable[[Tensor, Any], None]:
    return lambda read, out: calls.append((norm, read, out))


def _keep(by_layer: dict[int, Tensor], layer: int) -> Callable[[tuple[Any, ...]], None]:
    return lambda args: by_layer.__setitem__(layer, args[0])


def _same(one: Tensor, other: Tensor) -> bool:
    return one.numel() == other.numel() and torch.equal(one.reshape(-1), other.reshape(-1))


def _blocks(model: nn.Module) -> list[nn.Module]:
    """The decoder's blocks: the outermost list of as many modules, of which some have attention."""
    lists = [m for m in model.modules() if isinstance(m, nn.ModuleList) and len(m) == N_BLOCKS]
    return list(next((m for m in lists if any(_projection(block) for block in m)), lists[0] if lists else []))


def _projection(block: nn.Module) -> Any:
    """The projection from a block's heads to the stream; none where it has no softmax attention."""
    for name, module in block.named_modules():
        path, _, last = name.rpartition(".")
        wanted = any(word in path for word in ("attn", "attention", "mixer")) and "linear_attn" not in path
        if last in OUTPUT_NAMES and wanted and "mamba" not in path and "cross" not in path:
            return module
    return None
