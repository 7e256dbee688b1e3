"""A few tokens through the bridge and through plain transformers: the library's model must be the model.

TransformerLens computes attention anew for many architectures, and edits weights for `processed`. Where either is wrong
for a family, every number would be, without a word.
"""

import time
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int
from torch import Tensor

from app.adapters.language_model import Processing
from app.adapters.model_sources import ModelSource
from app.adapters.plain_model import ModulePlaces, PlainActivations, plain_activations
from app.domain.records import ModelRecord
from app.errors import InvalidModel

# Relative to the size of what is compared, both measured over all tokens.
TOLERANCES = {torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 1e-1}
_NAMES = {"logits": "logits", "pattern": "the attention pattern", "z": "hook_z"}


@dataclass(frozen=True)
class SelfCheck:
    """Largest differences of a layer between bridge and plain transformers, relative to the size of the values."""

    logits: float
    z: float
    pattern: float | None  # None: transformers does not give this family's patterns
    n_tokens: int
    seconds: float = 0.0

    @property
    def worst(self) -> float:
        """The largest of them."""
        return max(self.logits, self.z, self.pattern or 0.0)


@runtime_checkable
class Checked(Protocol):
    """What the check reads of a model."""

    record: ModelRecord
    attention_layers: tuple[int, ...]
    processing: Processing

    @property
    def device(self) -> torch.device: ...

    @property
    def dtype(self) -> torch.dtype: ...

    def all_activations(
        self, tokens: Int[Tensor, "batch pos"]
    ) -> tuple[Tensor, dict[int, Tensor], dict[int, Tensor]]:
        """Logits, and z and pattern of each layer with heads."""
        ...


_last_plain: dict[tuple[object, ...], PlainActivations] = {}  # for both processings of one model


def check_against_plain(
    model: Checked, source: ModelSource, places: ModulePlaces, tokens: Int[Tensor, "batch pos"]
) -> SelfCheck:
    """How far a model is from plain transformers. Raises InvalidModel where that is beyond rounding."""
    began = time.monotonic()
    key = (source, model.device, model.dtype)
    if key not in _last_plain:
        plain = plain_activations(source, tokens, places, model.device, model.dtype)
        _last_plain.clear()
        _last_plain[key] = plain
    try:
        check = compare(model, _last_plain[key], tokens)
    except RuntimeError as error:
        cause = " ".join(str(error).split())[:200]
        raise InvalidModel(f"TransformerLens cannot run {source.name}: {cause}") from error
    require_same(check, source.name, model.processing, model.dtype)
    return replace(check, seconds=time.monotonic() - began)


def compare(model: Checked, plain: PlainActivations, tokens: Int[Tensor, "batch pos"]) -> SelfCheck:
    """How far a model is from plain transformers.

    `processed` may shift all logits of a token alike, and z of a head by a constant: its value bias, folded elsewhere.
    """
    logits, z, patterns = model.all_activations(tokens)
    processed = model.processing == "processed"
    return SelfCheck(
        logits=_difference(logits, plain.logits, -1 if processed else None),
        z=max(
            _difference(z[layer].flatten(2), plain.z[layer].flatten(2), (0, 1) if processed else None)
            for layer in model.attention_layers
        ),
        pattern=max(
            (_difference(patterns[layer], plain.pattern[layer], None) for layer in sorted(plain.pattern)),
            default=None,
        ),
        n_tokens=tokens.numel(),
    )


def _difference(found: Tensor, expected: Tensor, centre: int | tuple[int, int] | None) -> float:
    """The relative difference, after taking the mean over some dimensions out of both."""
    found, expected = found.double(), expected.double()
    if found.shape != expected.shape:
        return float("inf")
    if centre is not None:
        found, expected = (each - each.mean(dim=centre, keepdim=True) for each in (found, expected))
    return relative_difference(found, expected)


def relative_difference(found: Tensor, expected: Tensor) -> float:
    """|found - expected| / |expected| over all numbers; infinity where it is no finite number."""
    missed = (found - expected).double().norm() / expected.double().norm().clamp(min=1e-30)
    return float(missed) if bool(torch.isfinite(missed)) else float("inf")


def require_same(check: SelfCheck, name: str, processing: str, dtype: torch.dtype) -> None:
    """Raises InvalidModel in one sentence where the difference is beyond the rounding of the number format."""
    limit = TOLERANCES[dtype]
    for part, words in _NAMES.items():
        difference = getattr(check, part)
        if difference is not None and not difference <= limit:
            other = "raw" if processing == "processed" else "processed"
            raise InvalidModel(
                f"TransformerLens does not compute {name} as transformers does: with {processing} weights it is off by "
                f"{difference:.1%} in {words} on {check.n_tokens} tokens, where rounding is below {limit:.1%}"
                + (f"; try --processing {other}" if processing == "processed" else "")
            )
