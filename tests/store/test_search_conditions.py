"""Features that fulfil several conditions at once, beside a slow loop over the rows, on both engines."""

import random
from collections.abc import Sequence

import pytest
from sqlalchemy import select

from app.domain.refs import FeatureRef
from app.store.atlas.reads import get_live_run
from app.store.database.engine import read_session
from app.store.search import Condition, FiresNear, MovesToken, ShowsEvidence, find_features
from app.store.tables.search import FeatureEvidenceRow, FeatureTokenRow, FeatureWordRow
from tests.support.run_data import RunShape, make_run, publish

LIMIT = 12


class Rows:
    """All rows that search reads of a run, as Python has them."""

    def __init__(self, session, run) -> None:
        of = {
            table: session.execute(select(table.__table__).where(table.run_id == run.id)).all()
            for table in (FeatureTokenRow, FeatureWordRow, FeatureEvidenceRow)
        }
        self.tokens, self.words, self.evidence = of.values()

    def values(self, condition: Condition) -> dict[FeatureRef, float]:
        """How far each feature that fulfils the condition does so."""
        match condition:
            case MovesToken():
                rows = [
                    (row, abs(row.logit))
                    for row in self.tokens
                    if row.token_id in condition.token_ids and row.sign == condition.sign
                ]
            case FiresNear():
                rows = [
                    (row, row.count)
                    for row in self.words
                    if row.word == condition.word and condition.count in (None, row.count)
                ]
            case ShowsEvidence():
                rows = [
                    (row, row.share)
                    for row in self.evidence
                    if row.kind == condition.kind
                    and (
                        row.share > condition.at_least
                        or (not condition.strictly and row.share == condition.at_least)
                    )
                ]
        largest: dict[FeatureRef, float] = {}
        for row, value in rows:
            ref = FeatureRef(row.layer, row.feature_index)
            largest[ref] = max(value, largest.get(ref, 0.0))
        return largest

    def found(
        self, conditions: Sequence[Condition], layers: set[int] | None
    ) -> list[tuple[FeatureRef, float]]:
        first, *rest = map(self.values, conditions)
        kept = [
            (ref, value)
            for ref, value in first.items()
            if all(ref in other for other in rest) and (layers is None or ref.layer in layers)
        ]
        return sorted(kept, key=lambda each: (-each[1], each[0]))[:LIMIT]

    def any_condition(self, choose: random.Random) -> Condition:
        """A condition that some feature fulfils, frequent ones more often."""
        match choose.randrange(4):
            case 0:
                rows = choose.choices(self.tokens, k=choose.randint(1, 3))
                return MovesToken(tuple(sorted({row.token_id for row in rows})), rows[0].sign)
            case 1:
                return FiresNear(choose.choice(self.words).word)
            case 2:
                row = choose.choice(self.words)
                return FiresNear(row.word, row.count)
            case _:
                row = choose.choice(self.evidence)
                return ShowsEvidence(row.kind, row.share, choose.random() < 0.3)


@pytest.mark.parametrize("seed", range(3))
def test_features_of_several_conditions_are_those_of_a_slow_loop(engine, seed: int) -> None:
    publish(engine, make_run("tiny", seed, RunShape(n_layers=3, n_heads=2, sae_layers=(0, 1, 2))))
    choose, n_found = random.Random(seed), 0
    with read_session(engine) as session:
        run = get_live_run(session, "tiny")
        rows = Rows(session, run)
        for _ in range(60):
            conditions = [rows.any_condition(choose) for _ in range(choose.randint(1, 3))]
            layers = choose.choice([None, None, {0, 2}])
            found = find_features(session, run, conditions, layers, None, LIMIT)
            expected = rows.found(conditions, layers)
            assert [each.feature for each in found] == [ref for ref, _ in expected], conditions
            assert [each.value for each in found] == pytest.approx([value for _, value in expected])
            n_found += len(conditions) > 1 and len(found) > 1
    assert n_found > 4  # more than one feature for more than one condition
