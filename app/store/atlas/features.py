"""Reading features: by reference, by neighbourhood, and as a paged list."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, null, or_, select
from sqlalchemy.orm import Session

from app.domain.records import Evidence, FeatureRecord
from app.domain.refs import FeatureRef
from app.errors import NotFound
from app.store.atlas.feature_blobs import unpack_evidence, unpack_examples, unpack_feature
from app.store.atlas.reads import LiveRun
from app.store.tables.atlas import FeatureExamplesRow, FeatureRow


@dataclass(frozen=True)
class FeatureNeighbours:
    """The stored features of the layer before and after one, by index."""

    previous: FeatureRef | None
    next: FeatureRef | None


def get_features(
    session: Session, run: LiveRun, refs: Sequence[FeatureRef], with_examples: bool
) -> list[FeatureRecord]:
    """The records of the features, in the order of `refs`, in one query. Raises NotFound when one is missing."""
    records = stored_features(session, run, refs, with_examples)
    for ref in refs:
        if ref not in records:
            raise NotFound(f"no dashboard for {ref} in the atlas {run.slug!r}")
    return [records[ref] for ref in refs]


def stored_features(
    session: Session, run: LiveRun, refs: Sequence[FeatureRef], with_examples: bool = False
) -> dict[FeatureRef, FeatureRecord]:
    """The records of those of the features that are stored, in one query."""
    if not refs:
        return {}
    query = select(FeatureRow, FeatureExamplesRow.data if with_examples else null())
    if with_examples:
        query = query.join(FeatureExamplesRow, same_feature(), isouter=True)
    records: dict[FeatureRef, FeatureRecord] = {}
    for row, blob in session.execute(query.where(FeatureRow.run_id == run.id, _among(refs))):
        examples = None if blob is None else unpack_examples(blob)
        records[FeatureRef(row.layer, row.feature_index)] = unpack_feature(row, examples)
    return records


def stored_evidence(session: Session, run: LiveRun, refs: Sequence[FeatureRef]) -> dict[FeatureRef, Evidence]:
    """The evidence of those of the features that are stored, in one query."""
    if not refs:
        return {}
    columns = (FeatureRow.layer, FeatureRow.feature_index, FeatureRow.data)
    rows = session.execute(select(*columns).where(FeatureRow.run_id == run.id, _among(refs)))
    return {FeatureRef(layer, index): unpack_evidence(blob) for layer, index, blob in rows}


def get_feature(session: Session, run: LiveRun, ref: FeatureRef) -> FeatureRecord:
    """One feature with its examples. Raises NotFound."""
    return get_features(session, run, [ref], with_examples=True)[0]


def feature_neighbours(session: Session, run: LiveRun, ref: FeatureRef) -> FeatureNeighbours:
    """The stored features on either side; `ref` itself need not be stored."""
    layer = (FeatureRow.run_id == run.id, FeatureRow.layer == ref.layer)
    before = select(func.max(FeatureRow.feature_index)).where(*layer, FeatureRow.feature_index < ref.index)
    after = select(func.min(FeatureRow.feature_index)).where(*layer, FeatureRow.feature_index > ref.index)
    previous, following = session.execute(select(before.scalar_subquery(), after.scalar_subquery())).one()
    return FeatureNeighbours(_ref(ref.layer, previous), _ref(ref.layer, following))


def list_features(
    session: Session, run: LiveRun, layer: int, limit: int = 50, after: FeatureRef | None = None
) -> list[FeatureRecord]:
    """A layer's stored features by index, without examples; the page after the feature `after`."""
    query = select(FeatureRow).where(FeatureRow.run_id == run.id, FeatureRow.layer == layer)
    if after is not None:
        query = query.where(FeatureRow.feature_index > after.index)
    return [
        unpack_feature(row, None)
        for row in session.scalars(query.order_by(FeatureRow.feature_index).limit(limit))
    ]


def same_feature() -> ColumnElement[bool]:
    """Joins the rows of features to their examples."""
    return and_(
        FeatureExamplesRow.run_id == FeatureRow.run_id,
        FeatureExamplesRow.layer == FeatureRow.layer,
        FeatureExamplesRow.feature_index == FeatureRow.feature_index,
    )


def _among(refs: Sequence[FeatureRef]) -> ColumnElement[bool]:
    # One IN list per layer, which both engines answer from the primary key.
    layers: dict[int, list[int]] = {}
    for ref in sorted(set(refs)):
        layers.setdefault(ref.layer, []).append(ref.index)
    return or_(
        *(and_(FeatureRow.layer == layer, FeatureRow.feature_index.in_(of)) for layer, of in layers.items())
    )


def _ref(layer: int, index: int | None) -> FeatureRef | None:
    return None if index is None else FeatureRef(layer, index)
