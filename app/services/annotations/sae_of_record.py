"""The SAE that a head's record was made on, to which its labels, groups and cited examples belong.

Labels of examples, where a layer has no SAE, belong to the run whose corpus they are in.
"""

from dataclasses import replace

from app.domain.annotations.records import EvidenceLink, FeatureLabel, HeadAnnotation, Revision
from app.domain.refs import ExampleRef, InvalidReference
from app.services.annotations.record_words import evidence_view
from app.services.reading.context import sae_of
from app.store.atlas.reads import LiveRun


def is_of_other_sae(run: LiveRun, record: Revision) -> bool:
    """Whether a head's record was made on another SAE of the layer than the run has, or on another run's examples."""
    if not isinstance(record.content, HeadAnnotation):
        return False
    if any(isinstance(label.feature, ExampleRef) and _says(label) for label in record.content.labels):
        return record.against.run != run.record.fingerprint
    if not record.against.sae:
        return False
    sae = sae_of(run, record.subject.ref.layer)
    return sae is None or sae.checksum != record.against.sae


def on_this_sae(run: LiveRun, record: Revision) -> HeadAnnotation:
    """A record's content, without labels, groups and citations that belong to another SAE than the run's."""
    if not is_of_other_sae(run, record):
        return record.head
    evidence = tuple(link for link in record.head.evidence if not _of_feature(link))
    return replace(record.head, groups=(), labels=(), evidence=evidence)


def speaks_of_features(content: HeadAnnotation) -> bool:
    """Whether the content has anything that belongs to an SAE's features: a group, a label, or a cited example."""
    labelled = any(map(_says, content.labels))
    return bool(content.groups) or labelled or any(_of_feature(link) for link in content.evidence)


def with_features_of(content: HeadAnnotation, record: Revision) -> HeadAnnotation:
    """An edit that has no labels, completed with the labels, groups and citations of the stored record."""
    annotation = record.head
    cited = tuple(link for link in annotation.evidence if _of_feature(link))
    return replace(
        content,
        groups=annotation.groups,
        labels=annotation.labels,
        ranking=annotation.ranking,
        k=annotation.k,
        evidence=(*cited, *content.evidence),
    )


def _says(label: FeatureLabel) -> bool:
    return label.group is not None or label.unclear


def _of_feature(link: EvidenceLink) -> bool:
    return evidence_view(link).feature is not None or _is_example_of_head(link)


def _is_example_of_head(link: EvidenceLink) -> bool:
    try:
        return link.kind == "example" and bool(ExampleRef.parse(link.target))
    except InvalidReference:
        return False
