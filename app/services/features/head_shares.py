"""What a feature's page says of each head's part in it."""

from app.domain.numbers import values_of_head
from app.domain.records import FeatureRecord
from app.domain.refs import HeadRef
from app.services.examples import from_records as parts
from app.services.features.models import HeadShare


def head_shares(record: FeatureRecord) -> tuple[HeadShare, ...]:
    """Every head's part in the feature."""
    return tuple(
        HeadShare(
            head=HeadRef(record.ref.layer, head),
            fve=parts.make_fve(record, head),
            evidence_counts=parts.evidence_counts(record.evidence, head),
            **values_of_head(record, head),
        )
        for head in range(len(record.decoder_weight_share))
    )
