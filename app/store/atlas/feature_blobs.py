"""Feature records to named arrays and back. What a block holds is decided here and nowhere else."""

from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.domain.records import (
    Evidence,
    ExampleGroup,
    Examples,
    FeatureRecord,
    FveByHead,
    Histogram,
    SimilarFeatures,
    SummedSources,
    TokenLogits,
)
from app.domain.refs import FeatureRef
from app.errors import InvalidStore
from app.store.atlas.blobs import pack, unpack
from app.store.tables.atlas import FeatureRow

_LOGITS = ("promoted", "suppressed", "head_promoted", "head_suppressed")
_HISTOGRAMS = ("logit_histogram", "activation_histogram")
_FVES = ("fve_active", "fve_all")
_GROUP_DTYPES = {
    "lower": np.float64,
    "upper": np.float64,
    "n_tokens": np.int64,
    "share_of_active": np.float64,
    "start": np.int64,
    "stop": np.int64,
}
_COLUMNS = tuple(column.name for column in fields(Examples) if column.name != "summed")
_Arrays = dict[str, NDArray[Any]]


class _Loaded(dict[str, NDArray[Any]]):
    """A sound block may still be one of something else."""

    def __missing__(self, name: str) -> NDArray[Any]:
        raise InvalidStore(f"a stored block is not what its place says: it lacks {name!r}")


def pack_feature(feature: FeatureRecord) -> bytes:
    """Everything of a feature but its columns and examples. Raises ValueError for a NaN or infinity."""
    arrays: _Arrays = {
        "decoder_weight_norm": feature.decoder_weight_norm,
        "decoder_weight_share": feature.decoder_weight_share,
        "evidence.n_examples": np.array(feature.evidence.n_examples, np.int64),
    }
    for name in _LOGITS:
        logits: TokenLogits = getattr(feature, name)
        arrays |= {f"{name}.token_id": logits.token_id, f"{name}.logit": logits.logit}
    for name in _HISTOGRAMS:
        histogram: Histogram = getattr(feature, name)
        arrays |= {f"{name}.edges": histogram.edges, f"{name}.counts": histogram.counts}
    for name in _FVES:
        fve: FveByHead | None = getattr(feature, name)
        if fve is not None:
            arrays |= {f"{name}.{part.name}": getattr(fve, part.name) for part in fields(FveByHead)}
    arrays |= {f"evidence.counts.{kind}": counts for kind, counts in feature.evidence.counts.items()}
    arrays |= _group_arrays(feature.groups)
    if feature.similar is not None:
        arrays |= {
            "similar.feature_index": feature.similar.feature_index,
            "similar.cosine": feature.similar.cosine,
        }
    if feature.first_logit_by_head is not None:
        arrays["first_logit_by_head"] = feature.first_logit_by_head
    _refuse_not_finite(arrays, feature.ref)
    return pack(arrays)


def unpack_feature(row: FeatureRow, examples: Examples | None) -> FeatureRecord:
    """The record of one row of features. Raises InvalidStore when its block is damaged."""
    arrays = _Loaded(unpack(row.data))
    parts: dict[str, Any] = {}
    for name in _LOGITS:
        parts[name] = TokenLogits(arrays[f"{name}.token_id"], arrays[f"{name}.logit"])
    for name in _HISTOGRAMS:
        parts[name] = Histogram(arrays[f"{name}.edges"], arrays[f"{name}.counts"])
    for name in _FVES:
        known = f"{name}.covariance_share" in arrays
        parts[name] = (
            FveByHead(*(arrays[f"{name}.{part.name}"] for part in fields(FveByHead))) if known else None
        )
    kinds = "evidence.counts."
    return FeatureRecord(
        ref=FeatureRef(row.layer, row.feature_index),
        n_active=row.n_active,
        density=row.density,
        mean_activation=row.mean_activation,
        max_activation=row.max_activation,
        worst_residual=row.worst_residual,
        decoder_weight_norm=arrays["decoder_weight_norm"],
        decoder_weight_share=arrays["decoder_weight_share"],
        evidence=Evidence(
            n_examples=int(arrays["evidence.n_examples"]),
            counts={
                name.removeprefix(kinds): counts for name, counts in arrays.items() if name.startswith(kinds)
            },
        ),
        groups=_groups(arrays),
        examples=examples,
        similar=(
            SimilarFeatures(arrays["similar.feature_index"], arrays["similar.cosine"])
            if "similar.cosine" in arrays
            else None
        ),
        first_logit_by_head=arrays.get("first_logit_by_head"),
        **parts,
    )


def _group_arrays(groups: tuple[ExampleGroup, ...]) -> _Arrays:
    # Names have no line breaks: they come from the code, not from data.
    names = "\n".join(group.name for group in groups).encode()
    arrays: _Arrays = {"groups.name": np.frombuffer(names, np.uint8)}
    for name, dtype in _GROUP_DTYPES.items():
        arrays[f"groups.{name}"] = np.array([getattr(group, name) for group in groups], dtype)
    return arrays


def _groups(arrays: _Arrays) -> tuple[ExampleGroup, ...]:
    if not len(arrays["groups.start"]):
        return ()
    names = arrays["groups.name"].tobytes().decode().split("\n")
    columns = (arrays[f"groups.{name}"].tolist() for name in _GROUP_DTYPES)
    return tuple(
        ExampleGroup(name, lower, upper, n_tokens, share, start, stop)
        for name, lower, upper, n_tokens, share, start, stop in zip(names, *columns, strict=True)
    )


def pack_examples(examples: Examples, ref: FeatureRef) -> bytes:
    """All examples of a feature. Raises ValueError for a NaN or infinity."""
    arrays: _Arrays = {name: getattr(examples, name) for name in _COLUMNS}
    if examples.summed is not None:
        arrays |= {
            f"summed.{part.name}": getattr(examples.summed, part.name) for part in fields(SummedSources)
        }
    _refuse_not_finite(arrays, ref)
    return pack(arrays)


def unpack_examples(blob: bytes) -> Examples:
    """Raises InvalidStore when the block is damaged."""
    arrays = _Loaded(unpack(blob))
    summed = (
        SummedSources(*(arrays[f"summed.{part.name}"] for part in fields(SummedSources)))
        if "summed.source" in arrays
        else None
    )
    return Examples(**{name: arrays[name] for name in _COLUMNS}, summed=summed)


def _refuse_not_finite(arrays: _Arrays, ref: FeatureRef) -> None:
    for name, array in arrays.items():
        # A head without variance has no share of it: there, and only there, NaN says so.
        undefined = np.isnan(array) if name.startswith(_FVES) else False
        if array.dtype.kind == "f" and not (np.isfinite(array) | undefined).all():
            raise ValueError(f"{name} of {ref} cannot be stored: it holds a NaN or infinity")
