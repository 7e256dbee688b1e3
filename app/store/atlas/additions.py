"""What a run of an earlier version lacks that precomputing it again would add."""

from dataclasses import dataclass, fields

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from app.domain.evidence import KINDS
from app.domain.numbers import number_help
from app.domain.records import Examples, FeatureRecord
from app.store.atlas.feature_blobs import unpack_examples, unpack_feature
from app.store.atlas.features import same_feature
from app.store.tables.atlas import FeatureExamplesRow, FeatureRow, HeadAttentionRow, RunRow, SequenceRow

# Fields that are None in a run from before they were kept, in words; of other declared numbers their help serves.
KEPT_SINCE = {
    "top_logit": "the logit of a feature's first promoted token through each head",
    "similar": "the features with the most similar decoder rows",
    "summed": "the sources of examples with the heads summed",
    "n_alike": "examples of which no two are alike, with the number of places that each stands for",
}
# None for a reason of the feature's own, or not read here.
NONE_OTHERWISE = frozenset({"fve_active", "fve_all", "examples"})


@dataclass(frozen=True)
class _Sample:
    """One feature of a run with its examples."""

    feature: FeatureRecord
    examples: Examples

    @property
    def missing(self) -> list[str]:
        """Names of the fields that it does not have."""
        return [
            part.name
            for record in (self.feature, self.examples)
            for part in fields(record)
            if part.name not in NONE_OTHERWISE and getattr(record, part.name) is None
        ]


def additions_of(session: Session, run: RunRow) -> tuple[str, ...]:
    """What a new run would add to this one, in words; empty for a run of this version."""
    added: list[str] = []
    if not session.scalar(select(exists().where(HeadAttentionRow.run_id == run.id))):
        added.append("what each head attends to")
    if session.scalar(select(exists().where(SequenceRow.run_id == run.id, SequenceRow.documents.is_(None)))):
        added.append("the document that each example is from")
    if "checks" not in run.plan:
        added.append("the self-check of model and attributions")
    sample = _sample(session, run.id)
    if sample is not None:
        added += [in_words(name) for name in sample.missing]
        kinds = [kind for kind in KINDS if kind not in sample.feature.evidence.counts]
        added += [f"evidence of {kind.replace('_', ' ')}" for kind in kinds]
    return tuple(added)


def in_words(name: str) -> str:
    """What a field holds that an older run lacks: a declared number by its help, up to the first semicolon."""
    if name in KEPT_SINCE:
        return KEPT_SINCE[name]
    text = number_help(name).partition(";")[0]
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def _sample(session: Session, run_id: int) -> _Sample | None:
    query = (
        select(FeatureRow, FeatureExamplesRow.data)
        .join(FeatureExamplesRow, same_feature())
        .where(FeatureRow.run_id == run_id)
        .order_by(FeatureRow.layer, FeatureRow.feature_index)
        .limit(1)
    )
    row = session.execute(query).first()
    if row is None:
        return None
    examples = unpack_examples(row.data)
    return _Sample(unpack_feature(row.FeatureRow, examples), examples)
