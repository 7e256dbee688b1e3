"""Blocks that were stored before examples had counts are read: without counts, and with groups from no pool."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from app.domain.refs import FeatureRef, HeadRef
from app.store.atlas.attention import pack_attention, unpack_attention
from app.store.atlas.blobs import pack, unpack
from app.store.atlas.feature_blobs import (
    COLUMNS,
    pack_examples,
    pack_features,
    unpack_examples,
    unpack_feature,
)
from tests.support.run_data import make_run

LATER = ("groups.n_pool", "n_alike", "examples.n_alike")


def older(blob: bytes) -> bytes:
    """The block without the arrays that came later."""
    return pack({name: array for name, array in unpack(blob).items() if name not in LATER})


def test_a_feature_from_before_has_groups_from_no_pool() -> None:
    record = make_run().features[FeatureRef(0, 3)]
    columns = {name: getattr(record, name) for name in COLUMNS}
    row: Any = SimpleNamespace(layer=0, feature_index=3, data=older(*pack_features([record])), **columns)
    read = unpack_feature(row, None)
    assert [group.name for group in read.groups] == [group.name for group in record.groups]
    assert {group.n_pool for group in read.groups} == {0}


def test_examples_from_before_stand_for_nothing_that_is_known() -> None:
    run = make_run()
    examples = run.features[FeatureRef(0, 3)].examples
    assert examples is not None
    read = unpack_examples(older(*pack_examples([examples], [FeatureRef(0, 3)])))
    assert read.n_alike is None
    assert np.array_equal(read.position, examples.position)
    attention = run.attention[HeadRef(0, 1)]
    old = unpack_attention(older(pack_attention(attention)), HeadRef(0, 1))
    assert old.examples.n_alike is None
    assert [(group.name, group.n_pool) for group in old.groups] == [
        (group.name, 0) for group in attention.groups
    ]
