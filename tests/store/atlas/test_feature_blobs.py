"""What the stored blocks of a feature hold: the names stay, and what an older block lacks is None."""

from dataclasses import replace

import numpy as np
import pytest

from app.domain.numbers import FeatureNumbers, field_types
from app.domain.records import FeatureRecord
from app.domain.refs import FeatureRef
from app.errors import InvalidStore
from app.store.atlas import feature_blobs
from app.store.atlas.blobs import pack, unpack
from app.store.atlas.field_arrays import arrays_of_field
from app.store.tables.atlas import FeatureRow
from tests.support.record_data import random_record
from tests.support.stored_runs import assert_same

LOGITS = ("promoted", "suppressed", "head_promoted", "head_suppressed")
FVES = ("fve_active", "fve_all")
OF_A_GROUP = ("name", "lower", "upper", "n_tokens", "share_of_active", "start", "stop")
KINDS = ("previous_token", "same_token", "induction", "induction_fuzzy", "bos", "copying")
NAMES = {
    "decoder_weight_norm",
    "decoder_weight_share",
    "first_logit_by_head",
    *(f"{name}.{part}" for name in LOGITS for part in ("token_id", "logit")),
    *(f"{name}.{part}" for name in FVES for part in ("covariance_share", "residual", "r_squared")),
    *(f"{name}_histogram.{part}" for name in ("logit", "activation") for part in ("edges", "counts")),
    "evidence.n_examples",
    *(f"evidence.counts.{kind}" for kind in KINDS),
    *(f"groups.{part}" for part in OF_A_GROUP),
    "similar.feature_index",
    "similar.cosine",
}


@pytest.fixture
def feature() -> FeatureRecord:
    return random_record(FeatureRecord, np.random.default_rng(3), {"n": 4, "heads": 3, "context": 7})


def row_of(feature: FeatureRecord, blob: bytes) -> FeatureRow:
    key = {"run_id": 1, "layer": feature.ref.layer, "feature_index": feature.ref.index}
    columns = {name: getattr(feature, name) for name in feature_blobs.COLUMNS}
    return FeatureRow(**key, **columns, data=blob)


def packed(feature: FeatureRecord) -> bytes:
    return feature_blobs.pack_features([feature])[0]


def test_a_feature_comes_back_whole_under_the_names_of_stores_out_there(feature: FeatureRecord) -> None:
    blob = packed(feature)
    assert set(unpack(blob)) >= NAMES  # more: numbers that are younger
    assert feature.examples is not None
    examples = feature_blobs.unpack_examples(*feature_blobs.pack_examples([feature.examples], [feature.ref]))
    assert_same(feature_blobs.unpack_feature(row_of(feature, blob), examples), feature)


def test_shares_that_follow_from_other_numbers_are_not_stored(feature: FeatureRecord) -> None:
    norm = np.array([0.3, 0.0, 1.7], np.float32)
    share = (norm.astype(np.float64) / norm.sum(dtype=np.float64)).astype(np.float32)
    groups = tuple(
        replace(group, n_tokens=7 * i, share_of_active=7 * i / 31) for i, group in enumerate(feature.groups)
    )
    whole = replace(feature, n_active=31, groups=groups, decoder_weight_norm=norm, decoder_weight_share=share)
    assert not {"decoder_weight_share", "groups.share_of_active"} & set(unpack(packed(whole)))
    found = feature_blobs.unpack_feature(row_of(whole, packed(whole)), None)
    assert [group.share_of_active for group in found.groups] == [7 * i / 31 for i in range(len(groups))]
    assert_same(found, replace(whole, examples=None))
    dead = replace(whole, n_active=0, groups=(), decoder_weight_norm=0 * norm, decoder_weight_share=0 * norm)
    assert_same(feature_blobs.unpack_feature(row_of(dead, packed(dead)), None), replace(dead, examples=None))


@pytest.mark.parametrize("name", ["decoder_weight_share", "share_of_active"])
def test_shares_that_do_not_follow_are_stored_as_they_are(feature: FeatureRecord, name: str) -> None:
    assert any(array.endswith(name) for array in unpack(packed(feature)))  # random numbers
    found = feature_blobs.unpack_feature(row_of(feature, packed(feature)), None)
    np.testing.assert_array_equal(found.decoder_weight_share, feature.decoder_weight_share)
    assert [group.share_of_active for group in found.groups] == [
        group.share_of_active for group in feature.groups
    ]


def test_evidence_is_read_alone(feature: FeatureRecord) -> None:
    assert_same(feature_blobs.unpack_evidence(packed(feature)), feature.evidence)


def test_the_numbers_of_a_feature_are_columns_under_their_names() -> None:
    declared = {"n_active", "density", "mean_activation", "max_activation", "worst_residual"}
    assert set(feature_blobs.COLUMNS) == declared <= set(field_types(FeatureNumbers))


@pytest.mark.parametrize(
    ("lost", "field"),
    [("first_logit_by_head", "top_logit"), ("similar", "similar"), ("fve_active", "fve_active")],
)
def test_what_an_older_block_lacks_is_none(feature: FeatureRecord, lost: str, field: str) -> None:
    arrays = unpack(packed(feature))
    older = pack({name: array for name, array in arrays.items() if name.split(".")[0] != lost})
    assert getattr(feature_blobs.unpack_feature(row_of(feature, older), None), field) is None


@pytest.mark.parametrize("lost", ["decoder_weight_norm", "promoted.logit", "similar.cosine", "groups.lower"])
def test_a_block_that_lacks_what_it_must_have_is_refused(feature: FeatureRecord, lost: str) -> None:
    arrays = unpack(packed(feature))
    del arrays[lost]
    with pytest.raises(InvalidStore, match=lost):
        feature_blobs.unpack_feature(row_of(feature, pack(arrays)), None)


def test_numbers_without_a_column_are_stored_in_the_block() -> None:
    for hint, value in ((float, 0.25), (int, 2**40), (float | None, 0.5), (float | None, None)):
        ways = arrays_of_field("later", hint)
        arrays = ways.pack(value)
        assert ways.unpack(feature_blobs.StoredArrays(unpack(pack(arrays)))) == value
        assert list(arrays) == ([] if value is None else ["later"])


def test_a_type_that_a_block_cannot_hold_is_refused_where_it_is_declared() -> None:
    with pytest.raises(TypeError):
        arrays_of_field("later", set[int])


def test_refs_are_not_part_of_a_block(feature: FeatureRecord) -> None:
    row = row_of(feature, packed(feature))
    row.layer, row.feature_index = 1, 5
    assert feature_blobs.unpack_feature(row, None).ref == FeatureRef(1, 5)
