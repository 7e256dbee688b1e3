"""Feature records to columns and blocks, and back. What a block holds follows from the fields of the records."""

from dataclasses import fields
from typing import Any

import numpy as np

from app.domain.numbers import FeatureNumbers
from app.domain.records import Examples, FeatureRecord
from app.domain.refs import FeatureRef
from app.store.atlas.blobs import pack, unpack
from app.store.atlas.dfa_steps import from_steps, to_steps
from app.store.atlas.field_arrays import Arrays, StoredArrays, arrays_of_parts
from app.store.atlas.shorter_numbers import longer, shorter
from app.store.tables.atlas import FeatureRow

# The numbers with a column of their own; the rest of the record is in the blocks.
COLUMNS = tuple(part.name for part in fields(FeatureNumbers) if hasattr(FeatureRow, part.name))
_BLOCK = arrays_of_parts(FeatureRecord, leave_out=("ref", "examples", *COLUMNS))
_EXAMPLES = arrays_of_parts(Examples)
_MAY_BE_NAN = ("fve_active.", "fve_all.")


def feature_columns(feature: FeatureRecord) -> dict[str, object]:
    """The numbers of a feature that have columns of their own."""
    return {name: getattr(feature, name) for name in COLUMNS}


def pack_feature(feature: FeatureRecord) -> bytes:
    """The block of everything of a feature but its columns and examples. Raises ValueError for a NaN or infinity."""
    arrays = _BLOCK.pack(feature)
    _refuse_not_finite(arrays, feature.ref)
    return pack(shorter(arrays))


def unpack_feature(row: FeatureRow, examples: Examples | None) -> FeatureRecord:
    """The record of one row of features. Raises InvalidStore when its block is damaged."""
    columns: dict[str, Any] = {name: getattr(row, name) for name in COLUMNS}
    parts: dict[str, Any] = _BLOCK.unpack(longer(StoredArrays(unpack(row.data))))
    ref = FeatureRef(row.layer, row.feature_index)
    return FeatureRecord(ref=ref, examples=examples, **columns, **parts)


def pack_examples(examples: Examples, ref: FeatureRef) -> bytes:
    """The block of all examples of a feature. Raises ValueError for a NaN or infinity."""
    arrays = _EXAMPLES.pack(examples)
    _refuse_not_finite(arrays, ref)
    return pack(to_steps(arrays))


def unpack_examples(blob: bytes) -> Examples:
    """The examples of one feature. Raises InvalidStore when the block is damaged."""
    return _EXAMPLES.unpack(from_steps(StoredArrays(unpack(blob))))


def _refuse_not_finite(arrays: Arrays, ref: FeatureRef) -> None:
    for name, array in arrays.items():
        # A head without variance has no share of it: there, and only there, NaN says so.
        undefined = np.isnan(array) if name.startswith(_MAY_BE_NAN) else False
        if array.dtype.kind == "f" and not (np.isfinite(array) | undefined).all():
            raise ValueError(f"{name} of {ref} cannot be stored: it holds a NaN or infinity")
