"""What is stored beside a kept token: one row of named columns per (feature, token)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.statistics.arrays import AnyArray, Ints, Record, places, require_same
from app.statistics.kept_tokens import INDEX_BITS, MAX_TOKEN_INDEX

Schema = dict[str, tuple[np.dtype, tuple[int, ...]]]


def payload_key(feature: Ints, token_index: Ints) -> Ints:
    """One int64 for a (feature, token), ordered by feature and then token."""
    return feature.astype(np.int64) << INDEX_BITS | token_index.astype(np.int64)


def split_key(key: Ints) -> tuple[Ints, Ints]:
    """The features and token indices of payload keys."""
    return key >> INDEX_BITS, key & MAX_TOKEN_INDEX


@dataclass(frozen=True, eq=False)
class Payloads(Record):
    """A table keyed by (feature, token), ascending. Rows of the same key are equal wherever they were made.

    Column names, dtypes and row shapes are fixed, also with no rows. A table with no columns and no rows is
    the identity of merge.
    """

    key: Ints  # [rows]
    columns: dict[str, AnyArray]  # each [rows, ...]

    @classmethod
    def empty(cls) -> "Payloads":
        return cls(np.empty(0, dtype=np.int64), {})

    @classmethod
    def of(cls, feature: Ints, token_index: Ints, columns: dict[str, AnyArray]) -> "Payloads":
        """A table of rows in any order. Raises ValueError on a repeated key or on columns of another length."""
        key, first = np.unique(payload_key(feature, token_index), return_index=True)
        if len(key) != len(feature):
            raise ValueError("a (feature, token) has two payloads")
        if wrong := [name for name, column in columns.items() if len(column) != len(key)]:
            raise ValueError(f"columns {', '.join(sorted(wrong))} do not have {len(key)} rows")
        return cls(key, {name: column[first] for name, column in columns.items()})

    @classmethod
    def joined(cls, parts: Sequence["Payloads"]) -> "Payloads":
        """The merge of many tables in one copy. Raises ValueError where two of them share a key."""
        filled = [part for part in parts if len(part)]
        if not filled:
            return cls.empty()
        for part in filled:
            require_same("columns", filled[0].schema, part.schema)
        columns = {
            name: np.concatenate([part.columns[name] for part in filled]) for name in filled[0].columns
        }
        return cls.of(*split_key(np.concatenate([part.key for part in filled])), columns)

    def __len__(self) -> int:
        return len(self.key)

    @property
    def n_bytes(self) -> int:
        """Bytes of the arrays in memory."""
        return self.key.nbytes + sum(column.nbytes for column in self.columns.values())

    @property
    def schema(self) -> Schema:
        return {name: (column.dtype, column.shape[1:]) for name, column in sorted(self.columns.items())}

    def merge(self, other: "Payloads") -> "Payloads":
        if not other.columns and not len(other):
            return self
        if not self.columns and not len(self):
            return other
        require_same("columns", self.schema, other.schema)
        key, first = np.unique(np.concatenate([self.key, other.key]), return_index=True)
        return Payloads(
            key,
            {name: np.concatenate([self.columns[name], other.columns[name]])[first] for name in self.columns},
        )

    def restrict(self, keys: Ints) -> "Payloads":
        """The rows whose key is among `keys`, which ascend; the columns as they are."""
        is_member = places(self.key, keys) >= 0
        return self if is_member.all() else self._rows(np.flatnonzero(is_member))

    def of_feature(self, feature: int) -> "Payloads":
        start, stop = np.searchsorted(self.key, np.asarray([feature, feature + 1]) << INDEX_BITS)
        return Payloads(self.key[start:stop], {name: c[start:stop] for name, c in self.columns.items()})

    def rows(self, feature: int | Ints, token_index: Ints) -> dict[str, AnyArray]:
        """The columns of tokens [rows] of one feature, or of one each, in order. Raises KeyError on a missing one."""
        features = np.broadcast_to(feature, token_index.shape)
        place = places(payload_key(features, token_index), self.key)
        if (place < 0).any():
            first = int(np.argmax(place < 0))
            raise KeyError(f"feature {features[first]} has no payload for token {token_index[first]}")
        return {name: column[place] for name, column in self.columns.items()}

    def _rows(self, place: AnyArray) -> "Payloads":
        return Payloads(self.key[place], {name: column[place] for name, column in self.columns.items()})
