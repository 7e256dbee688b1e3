"""A few tokens through the bridge and through plain transformers: the library's model must be the model.

TransformerLens computes attention anew for many architectures, and edits weights for `processed`. Where either is wrong
for a family, every number would be, without a word.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int
from torch import Tensor

from app.adapters.devices import unless_out_of_memory
from app.adapters.language_model import Processing
from app.adapters.model_sources import ModelSource
from app.adapters.path_weights import PathWeights
from app.adapters.plain_model import ModulePlaces, PlainActivations, plain_activations
from app.attribution.float64 import widened
from app.domain.records import ModelRecord
from app.errors import InvalidModel

# Differences are relative to the size of what is compared, over all tokens. `python -m tests.parity.rounding` measures
# what is said here, on tiny models of every family in both processings with faults planted in them: a scale dropped, a
# norm skipped, a hook moved by one layer, rotary pairs in another order.
TOLERANCE = 1e-3  # in float32, where sound models are at most 2e-6 off and faults at least 2.6e-2
# Half precision hides small faults in its own rounding, which grows with depth: SmolLM2-135M's 30 layers lose 8% in
# bfloat16. So the weights in half precision are computed with in float32 on both sides. Raw ones are the same numbers:
# sound models are at most 7e-4 off (a router that the library computes in half), faults at least 2.6e-2. Processed ones
# were rounded once more, after folding: sound models are within 1.1 times the rounding of the plain model in its own
# format, faults beyond 2.7 times.
SAME_WEIGHTS = 3e-3
FOLDED_WEIGHTS = 2.0  # roundings
# In its own format a model is compared as well, since that is what runs: masks may overflow there, and numbers be cast.
# Sound models are within 3.1 times the plain model's rounding, those that the library computes otherwise beyond 7.
ROUNDINGS = 5.0
LEAST = {torch.float16: 2e-3, torch.bfloat16: 1e-2}  # for models that hardly round
# Where there was no memory to compute in float32: sound tiny models are up to 0.7% off in float16 and 4.7% in bfloat16,
# SmolLM2 0.6% and 7.8%. Three and seven times that, for deeper ones.
UNMEASURED = {torch.float16: 5e-2, torch.bfloat16: 0.25}
_NAMES = {"logits": "logits", "pattern": "the attention pattern", "z": "hook_z"}


@dataclass(frozen=True)
class SelfCheck:
    """Differences between bridge and plain transformers, relative to the size of the values.

    Of hook_z and the pattern in the layer that is nearest to its limit: layers differ in their rounding.
    """

    logits: float
    z: float
    pattern: float | None  # None: transformers does not give this family's patterns
    n_tokens: int
    limits: dict[str, float] = field(default_factory=dict)  # by the name of each: beyond it is no rounding
    in_float32: "SelfCheck | None" = None  # with weights in half precision, and memory for it
    seconds: float = 0.0

    @property
    def worst(self) -> float:
        """The largest of them."""
        return max(self.logits, self.z, self.pattern or 0.0)


@runtime_checkable
class CheckedModel(Protocol):
    """What the check reads of a model."""

    record: ModelRecord
    weights: PathWeights
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
    model: CheckedModel, source: ModelSource, places: ModulePlaces, tokens: Int[Tensor, "batch pos"]
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
    require_same(check, source.name, model.processing)
    return replace(check, seconds=time.monotonic() - began)


def compare(model: CheckedModel, plain: PlainActivations, tokens: Int[Tensor, "batch pos"]) -> SelfCheck:
    """How far a model is from plain transformers; in half precision with its weights in float32, too.

    `processed` may shift all logits of a token alike, and z of a head by a constant: its value bias, folded elsewhere.
    """
    check = _compare_once(model, plain, tokens, limits_of(plain, model.dtype, model.attention_layers))
    if plain.exact is None:
        return check
    limits = limits_in_float32(plain, model.dtype, model.processing, model.attention_layers)
    with unless_out_of_memory(), model.weights.in_float32():
        return replace(check, in_float32=_compare_once(model, plain.exact, tokens, limits))
    return check


def _compare_once(
    model: CheckedModel,
    plain: PlainActivations,
    tokens: Int[Tensor, "batch pos"],
    limits: dict[str, list[float]],
) -> SelfCheck:
    found = PlainActivations(*model.all_activations(tokens))
    off = differences(found, plain, model.processing == "processed", model.attention_layers)
    nearest = {
        name: max(zip(off[name], limits[name], strict=True), key=lambda pair: pair[0] / pair[1], default=None)
        for name in _NAMES
    }
    values = {name: pair[0] if pair else None for name, pair in nearest.items()}
    return SelfCheck(
        logits=values["logits"] or 0.0,
        z=values["z"] or 0.0,
        pattern=values["pattern"],
        n_tokens=tokens.numel(),
        limits={name: pair[1] for name, pair in nearest.items() if pair},
    )


def differences(
    found: PlainActivations, expected: PlainActivations, processed: bool, layers: Iterable[int]
) -> dict[str, list[float]]:
    """How far two runs of a model are apart: in logits, and by layer; no pattern where transformers gives none.

    processed: logits and z may be shifted as processing shifts them.
    """
    return {
        "logits": [_difference(found.logits, expected.logits, -1 if processed else None)],
        "pattern": [
            _difference(found.pattern[i], expected.pattern[i], None) for i in sorted(expected.pattern)
        ],
        "z": [
            _difference(found.z[i].flatten(2), expected.z[i].flatten(2), (0, 1) if processed else None)
            for i in layers
        ],
    }


def limits_of(plain: PlainActivations, dtype: torch.dtype, layers: Iterable[int]) -> dict[str, list[float]]:
    """Up to where a difference is rounding, by what is compared and by layer."""
    own = differences(plain, plain.exact or plain, True, layers)
    if dtype == torch.float32:
        return {name: [TOLERANCE] * len(each) for name, each in own.items()}
    if plain.exact is None:
        return {name: [UNMEASURED[dtype]] * len(each) for name, each in own.items()}
    return {name: [max(ROUNDINGS * value, LEAST[dtype]) for value in each] for name, each in own.items()}


def limits_in_float32(
    plain: PlainActivations, dtype: torch.dtype, processing: Processing, layers: Iterable[int]
) -> dict[str, list[float]]:
    """The limits where weights in half precision are computed with in float32."""
    own = differences(plain, plain.exact or plain, True, layers)
    if processing == "raw":
        return {name: [SAME_WEIGHTS] * len(each) for name, each in own.items()}
    return {name: [max(FOLDED_WEIGHTS * value, LEAST[dtype]) for value in each] for name, each in own.items()}


def _difference(found: Tensor, expected: Tensor, centre: int | tuple[int, int] | None) -> float:
    """The relative difference, after taking the mean over some dimensions out of both."""
    found, expected = widened(found), widened(expected)
    if found.shape != expected.shape:
        return float("inf")
    if centre is not None:
        found, expected = (each - each.mean(dim=centre, keepdim=True) for each in (found, expected))
    return relative_difference(found, expected)


def relative_difference(found: Tensor, expected: Tensor) -> float:
    """|found - expected| / |expected| over all numbers; infinity where it is no finite number."""
    missed = widened(found - expected).norm() / widened(expected).norm().clamp(min=1e-30)
    return float(missed) if bool(torch.isfinite(missed)) else float("inf")


def require_same(check: SelfCheck, name: str, processing: str) -> None:
    """Raises InvalidModel in one sentence where the difference is beyond the rounding of the number format."""
    if check.in_float32 is not None:
        require_same(check.in_float32, name, processing)
    for part, words in _NAMES.items():
        difference, limit = getattr(check, part), check.limits.get(part, TOLERANCE)
        if difference is not None and not difference <= limit:
            other = "raw" if processing == "processed" else "processed"
            raise InvalidModel(
                f"TransformerLens does not compute {name} as transformers does: with {processing} weights it is off by "
                f"{difference:.1%} in {words} on {check.n_tokens} tokens, where rounding is below {limit:.1%}"
                + (f"; try --processing {other}" if processing == "processed" else "")
            )
