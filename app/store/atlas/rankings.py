"""The rankings of many heads at once."""

from sqlalchemy import select, true
from sqlalchemy.orm import Session

from app.domain.records import RANKINGS, Ranking
from app.domain.refs import FeatureRef, HeadRef
from app.store.atlas.reads import LiveRun
from app.store.tables.atlas import RankedFeatureRow


def get_all_rankings(
    session: Session, run: LiveRun, k: int, layer: int | None = None
) -> dict[tuple[HeadRef, Ranking], tuple[FeatureRef, ...]]:
    """The best k features of every head, or every head of a layer, under every ranking, best first, in one query."""
    place = RankedFeatureRow
    rows = session.execute(
        select(place.layer, place.head, place.ranking, place.feature_index)
        .where(place.run_id == run.id, place.rank <= k, true() if layer is None else place.layer == layer)
        .order_by(place.layer, place.head, place.ranking, place.rank)
    )
    names: dict[str, Ranking] = {ranking: ranking for ranking in RANKINGS}
    by_ranking: dict[tuple[HeadRef, Ranking], list[FeatureRef]] = {}
    for layer, head, name, index in rows:
        by_ranking.setdefault((HeadRef(layer, head), names[name]), []).append(FeatureRef(layer, index))
    return {key: tuple(features) for key, features in by_ranking.items()}
