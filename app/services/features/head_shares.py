"""The contribution of each head to a feature, as the feature's page shows it."""

import numpy as np

from app.domain.numbers import values_of_head
from app.domain.records import FeatureRecord
from app.domain.refs import HeadRef
from app.services.examples import from_records
from app.services.features.models import HeadShare


def head_shares(record: FeatureRecord) -> tuple[HeadShare, ...]:
    """The part that each head of the layer has in the feature."""
    return tuple(
        HeadShare(
            head=HeadRef(record.ref.layer, head),
            fve=from_records.make_fve(record, head),
            evidence_counts=from_records.evidence_counts(record, head),
            top_source_share=top_source_share(record, head),
            **values_of_head(record, head),
        )
        for head in range(len(record.decoder_weight_share))
    )


def top_source_share(record: FeatureRecord, head: int) -> float | None:
    """The share of the head's positive DFA on its single strongest source, the mean over the top examples.

    Sources that are stored as one sum count as one source; negative DFA among them can make the share too
    large, never too small. Examples without positive DFA are left out; None if all are.
    """
    examples = record.examples
    if examples is None or not record.groups:
        return None
    top = slice(record.groups[0].start, record.groups[0].stop)
    positive = np.maximum(examples.dfa[top, head].astype(np.float64), 0)
    total = positive.sum(-1) + np.maximum(examples.dfa_rest[top, head], 0)
    shares = positive[total > 0].max(-1, initial=0) / total[total > 0]
    return float(shares.mean()) if len(shares) else None
