"""Feature records to columns and blocks, and back. What a block holds follows from the fields of the records."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.domain.numbers import FeatureNumbers
from app.domain.records import Evidence, Examples, FeatureRecord
from app.domain.refs import FeatureRef
from app.store.atlas.blobs import pack_all, unpack
from app.store.atlas.dfa_steps import from_steps, to_steps
from app.store.atlas.field_arrays import Arrays, StoredArrays, arrays_of_parts
from app.store.atlas.shorter_numbers import longer, shorter
from app.store.tables.atlas import FeatureRow

# The numbers with a column of their own; the rest of the record is in the blocks.
COLUMNS = tuple(part.name for part in fields(FeatureNumbers) if hasattr(FeatureRow, part.name))
_BLOCK = arrays_of_parts(FeatureRecord, leave_out=("ref", "examples", *COLUMNS))
_EXAMPLES = arrays_of_parts(Examples)
_OF_EVIDENCE = "evidence."
_EVIDENCE = arrays_of_parts(Evidence, _OF_EVIDENCE)
_MAY_BE_NAN = ("fve_active.", "fve_all.")


@dataclass(frozen=True)
class FeatureBlocks:
    """The blocks of some features, and of those of them that have examples."""

    features: list[bytes]
    examples: list[bytes]


def feature_blocks(features: Sequence[FeatureRecord]) -> FeatureBlocks:
    """All blocks of the features. Raises ValueError for a NaN or infinity.

    Blocks do not depend on which features are packed together: that only saves time.
    """
    shown = [feature for feature in features if feature.examples is not None]
    examples = [feature.examples for feature in shown if feature.examples is not None]
    return FeatureBlocks(pack_features(features), pack_examples(examples, [feature.ref for feature in shown]))


def feature_columns(features: Sequence[FeatureRecord]) -> dict[str, list[Any]]:
    """The numbers of features that have columns of their own, by column."""
    return {name: [getattr(feature, name) for feature in features] for name in COLUMNS}


def pack_features(features: Sequence[FeatureRecord]) -> list[bytes]:
    """The block of everything of each feature but its columns and examples. Raises ValueError for a NaN or infinity."""
    arrays = [_BLOCK.pack(feature) for feature in features]
    _refuse_not_finite(arrays, [feature.ref for feature in features])
    return pack_all(shorter(arrays, [feature.n_active for feature in features]))


def unpack_feature(row: FeatureRow, examples: Examples | None) -> FeatureRecord:
    """The record of one row of features. Raises InvalidStore when its block is damaged."""
    columns: dict[str, Any] = {name: getattr(row, name) for name in COLUMNS}
    parts: dict[str, Any] = _BLOCK.unpack(longer(StoredArrays(unpack(row.data)), row.n_active))
    ref = FeatureRef(row.layer, row.feature_index)
    return FeatureRecord(ref=ref, examples=examples, **columns, **parts)


def unpack_evidence(blob: bytes) -> Evidence:
    """The evidence in the block of a feature, read alone in a fifth of the time. Raises InvalidStore."""
    return _EVIDENCE.unpack(StoredArrays(unpack(blob, _OF_EVIDENCE)))


def pack_examples(examples: Sequence[Examples], refs: Sequence[FeatureRef]) -> list[bytes]:
    """The block of all examples of each feature, likewise. Raises ValueError for a NaN or infinity."""
    arrays = [_EXAMPLES.pack(of_feature) for of_feature in examples]
    _refuse_not_finite(arrays, refs)
    return pack_all(to_steps(arrays))


def unpack_examples(blob: bytes) -> Examples:
    """The examples of one feature. Raises InvalidStore when the block is damaged."""
    return _EXAMPLES.unpack(from_steps(StoredArrays(unpack(blob))))


def _refuse_not_finite(features: Sequence[Arrays], refs: Sequence[FeatureRef]) -> None:
    for name in {name: None for arrays in features for name in arrays}:
        having = [i for i, arrays in enumerate(features) if name in arrays and arrays[name].dtype.kind == "f"]
        # All at once: only where some are not, one by one.
        if having and not _are_finite(name, np.concatenate([features[i][name] for i in having], axis=None)):
            ref = next(refs[i] for i in having if not _are_finite(name, features[i][name]))
            raise ValueError(f"{name} of {ref} cannot be stored: it holds a NaN or infinity")


def _are_finite(name: str, values: NDArray[Any]) -> bool:
    # A head without variance has no share of it: there, and only there, NaN says so.
    is_stored = ~np.isinf(values) if name.startswith(_MAY_BE_NAN) else np.isfinite(values)
    return bool(is_stored.all())
