"""Writing a run: begin, add its parts, go live. Nothing here commits; the session's owner does."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from itertools import repeat

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from app.domain.documents import DocumentStart
from app.domain.numbers import HeadNumbers, values_of
from app.domain.records import FeatureRecord, HeadRanking, HeadRecord, Json, RunRecord, RunReport, SaeRecord
from app.domain.slugs import check_slug
from app.domain.tokens import Vocabulary
from app.errors import StoreBusy
from app.store.atlas.feature_blobs import FeatureBlocks, feature_blocks, feature_columns
from app.store.database.inserts import insert_columns, insert_rows, insert_unless_there
from app.store.search_index import index_features
from app.store.tables import atlas as tables

_RUN_COLUMNS = ("fingerprint", "corpus", "context_size", "n_sequences", "n_tokens", "plan")


def begin_run(session: Session, slug: str, run: RunRecord) -> int:
    """Start publishing and return the run's id. Leftovers of the atlas's unfinished runs are removed first.

    Readers keep seeing the atlas's live run until `go_live`. Raises InvalidSlug.
    """
    atlas_id = _lock_atlas(session, check_slug(slug))
    unfinished = (tables.RunRow.atlas_id == atlas_id, tables.RunRow.state == "publishing")
    session.execute(delete(tables.RunRow).where(*unfinished))
    model = asdict(run.model)
    values = {
        "atlas_id": atlas_id,
        "state": "publishing",
        "model_name": model.pop("name"),
        "model_revision": model.pop("revision"),
        **model,
        **{name: getattr(run, name) for name in _RUN_COLUMNS},
    }
    run_id = session.scalars(insert(tables.RunRow).values(values).returning(tables.RunRow.id)).one()
    add_saes(session, run_id, run.saes)
    return run_id


def add_saes(session: Session, run_id: int, saes: Sequence[SaeRecord]) -> None:
    """Add SAEs whose fit to the corpus was not known yet when the run began."""
    require_publishing(session, run_id)
    insert_rows(session, tables.SaeRow, ({"run_id": run_id, **asdict(sae)} for sae in saes))


def add_vocabulary(session: Session, run_id: int, checksum: str, blob: bytes) -> None:
    """Add the bytes of the run's tokenizer, stored once however many runs use them."""
    require_publishing(session, run_id)
    # Two jobs may add the same one at one moment: the second must find it, not fail.
    session.execute(insert_unless_there(session, tables.VocabularyRow, {"checksum": checksum, "data": blob}))
    session.execute(update(tables.RunRow).where(tables.RunRow.id == run_id).values(vocabulary=checksum))


def add_sequences(
    session: Session,
    run_id: int,
    token_ids: NDArray[np.integer],
    first_index: int = 0,
    documents: Sequence[Sequence[DocumentStart]] | None = None,
) -> None:
    """Add corpus sequences [n, context], BOS included, the first of them at `first_index`.

    documents: those in each of them, in order; None where they are not known.
    """
    require_publishing(session, run_id)
    rows = np.ascontiguousarray(token_ids, "<i4")
    starts = repeat(None, len(rows)) if documents is None else map(_starts_as_json, documents)
    insert_rows(
        session,
        tables.SequenceRow,
        (
            {
                "run_id": run_id,
                "sequence_index": first_index + i,
                "token_ids": row.tobytes(),
                "documents": of_row,
            }
            for i, (row, of_row) in enumerate(zip(rows, starts, strict=True))
        ),
    )


def _starts_as_json(starts: Sequence[DocumentStart]) -> list[Json]:
    return [start.as_json() for start in starts]


def add_heads(session: Session, run_id: int, heads: Sequence[HeadRecord]) -> None:
    """Add every head of the model with its scores. Raises ValueError for a score that is not a number."""
    require_publishing(session, run_id)
    insert_rows(
        session,
        tables.HeadRow,
        (
            {
                "run_id": run_id,
                "layer": head.ref.layer,
                "head": head.ref.head,
                **values_of(HeadNumbers, head),
            }
            for head in heads
        ),
    )
    insert_rows(
        session,
        tables.HeadScoreRow,
        (
            {"run_id": run_id, "layer": head.ref.layer, "head": head.ref.head, "name": name, "value": value}
            for head in heads
            for name, value in sorted(head.scores.items())
        ),
    )


def add_rankings(session: Session, run_id: int, rankings: Sequence[HeadRanking]) -> None:
    """Add the rankings of heads that `add_heads` has stored."""
    require_publishing(session, run_id)
    insert_rows(
        session,
        tables.RankedFeatureRow,
        (
            {
                "run_id": run_id,
                "layer": ranking.head.layer,
                "head": ranking.head.head,
                "ranking": ranking.ranking,
                "rank": place.rank,
                "feature_index": place.ref.index,
                "value": place.value,
                "other_rank": place.other_rank,
            }
            for ranking in rankings
            for place in ranking.features
        ),
    )


def add_features(
    session: Session,
    run_id: int,
    features: Sequence[FeatureRecord],
    vocabulary: Vocabulary | None = None,
    blocks: FeatureBlocks | None = None,
) -> None:
    """Add features with their examples and what search finds them by, one batch after the other.

    With the vocabulary, they are found by words as well; their sequences must then be in the store already.
    blocks: the features', where they were made before.
    """
    require_publishing(session, run_id)
    blocks = feature_blocks(features) if blocks is None else blocks
    columns = {**_feature_keys(run_id, features), **feature_columns(features), "data": blocks.features}
    insert_columns(session, tables.FeatureRow, columns)
    keys = _feature_keys(run_id, [feature for feature in features if feature.examples is not None])
    insert_columns(session, tables.FeatureExamplesRow, {**keys, "data": blocks.examples})
    index_features(session, run_id, features, vocabulary)


def go_live(session: Session, run_id: int, report: RunReport) -> None:
    """Make the run the one that its atlas shows, and remove the runs it supersedes, in this transaction."""
    atlas_id = require_publishing(session, run_id)
    values = {part.name: getattr(report, part.name) for part in fields(report)}
    session.execute(insert(tables.RunReportRow).values(run_id=run_id, **values))
    session.execute(update(tables.RunRow).where(tables.RunRow.id == run_id).values(state="live"))
    session.execute(update(tables.AtlasRow).where(tables.AtlasRow.id == atlas_id).values(live_run_id=run_id))
    session.execute(
        delete(tables.RunRow).where(tables.RunRow.atlas_id == atlas_id, tables.RunRow.id != run_id)
    )
    drop_unused_vocabularies(session)


def drop_unused_vocabularies(session: Session) -> None:
    """Remove the token bytes that no run uses any more."""
    used = select(tables.RunRow.vocabulary).where(tables.RunRow.vocabulary.is_not(None))
    # A vocabulary that another publish is about to use is locked by it, and stays.
    unused = select(tables.VocabularyRow.checksum).where(tables.VocabularyRow.checksum.not_in(used))
    session.execute(
        delete(tables.VocabularyRow).where(
            tables.VocabularyRow.checksum.in_(unused.with_for_update(skip_locked=True))
        )
    )


def _lock_atlas(session: Session, slug: str) -> int:
    # FOR UPDATE makes a second publisher of the atlas wait; SQLite's write transaction has done so already.
    session.execute(insert_unless_there(session, tables.AtlasRow, {"slug": slug}))
    return session.scalars(
        select(tables.AtlasRow.id).where(tables.AtlasRow.slug == slug).with_for_update()
    ).one()


def require_publishing(session: Session, run_id: int) -> int:
    """The id of the run's atlas. Raises StoreBusy when the run has been removed, or is live already."""
    publishing = (tables.RunRow.id == run_id, tables.RunRow.state == "publishing")
    atlas_id = session.scalar(select(tables.RunRow.atlas_id).where(*publishing).with_for_update())
    if atlas_id is None:
        raise StoreBusy(f"run {run_id} is no longer being published: another job has taken its place")
    return atlas_id


def _feature_keys(run_id: int, features: Sequence[FeatureRecord]) -> dict[str, list[int]]:
    return {
        "run_id": [run_id] * len(features),
        "layer": [feature.ref.layer for feature in features],
        "feature_index": [feature.ref.index for feature in features],
    }
