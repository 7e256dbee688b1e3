"""The entries of heads to publish: submitted records and the consensus, with features and examples from the run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from app.domain.annotations.layer_table import mean_abstraction
from app.domain.annotations.records import HeadAnnotation, Revision
from app.domain.annotations.roles import Abstraction
from app.domain.records import FeatureRecord
from app.domain.refs import FeatureRef, HeadRef
from app.errors import NotFound
from app.services.annotations.sae_of_record import is_of_other_sae
from app.services.examples.from_records import fve_by_head, summarise_run, whole_logits
from app.services.reading.context import AtlasContext
from app.services.rollups.rollup import RollUp, add_up
from app.services.sheet.group_examples import group_examples
from app.services.sheet.pages import NoSuchAnnotator, layer_lines
from app.services.sheet.publication_models import EntryFeature, EntryGroup, HeadEntry, PublicationPage
from app.store.annotators import CONSENSUS
from app.store.atlas.features import stored_features

ENTRIES_PER_PAGE, N_TOKENS = 30, 3


@dataclass(frozen=True)
class Publication:
    """The records to publish by head: the consensus where there is one, else that of `by`."""

    context: AtlasContext
    by: str | None
    annotators: tuple[str, ...]
    records: dict[HeadRef, Revision]

    @cached_property
    def added(self) -> RollUp:
        """The tally, layers and new groups of these records."""
        model = self.context.run.record.model
        heads = {head: record.head for head, record in self.records.items()}
        return add_up(self.by or "", heads, model.n_layers, model.n_heads)

    @property
    def n_pages(self) -> int:
        """The number of pages of ENTRIES_PER_PAGE entries; 1 if there are no entries."""
        return max(1, -(-len(self.records) // ENTRIES_PER_PAGE))

    @property
    def n_consensus(self) -> int:
        """How many of the records are the consensus."""
        return sum(record.annotator == CONSENSUS for record in self.records.values())

    def all_entries(self) -> Iterator[HeadEntry]:
        """All entries in the order of heads, read some heads at a time: the examples of all would be many."""
        heads = list(self.records)
        for start in range(0, len(heads), ENTRIES_PER_PAGE):
            yield from self.entries(heads[start : start + ENTRIES_PER_PAGE])

    def entries(self, heads: Sequence[HeadRef]) -> list[HeadEntry]:
        """The entries of these heads, in three queries."""
        contents = {head: self.records[head].head for head in heads}
        # Features of another SAE than the run's have other numbers and examples.
        of_run = {
            head: content
            for head, content in contents.items()
            if not is_of_other_sae(self.context.run, self.records[head])
        }
        labels = [label for content in of_run.values() for label in content.labels[: content.k]]
        features = {label.feature for label in labels if isinstance(label.feature, FeatureRef)}
        stored = stored_features(self.context.session, self.context.run, sorted(features))
        examples = group_examples(self.context, of_run)
        return [
            HeadEntry(
                head=head,
                annotator=self.records[head].annotator,
                head_type=content.head_type,
                override_reason=content.override_reason if content.override else "",
                n_features=content.computed.n_features,
                n_unclear=content.computed.n_unclear,
                n_open=content.computed.n_unlabelled,
                roles=content.roles,
                groups=_groups(content),
                abstraction=mean_abstraction([content]),
                new_groups=self.added.novel.get(head, ()),
                surprising=content.surprising,
                confidence=content.confidence,
                notes=content.notes,
                features=self._features(head, content, stored if head in of_run else {}),
                examples=examples.get(head, ()),
            )
            for head, content in contents.items()
        ]

    def _features(
        self, head: HeadRef, content: HeadAnnotation, stored: Mapping[FeatureRef, FeatureRecord]
    ) -> tuple[EntryFeature, ...]:
        vocabulary = self.context.vocabulary
        features: list[EntryFeature] = []
        for rank, label in enumerate(content.labels[: content.k], 1):
            if not isinstance(label.feature, FeatureRef):
                continue
            record = stored.get(label.feature)
            features.append(
                EntryFeature(
                    feature=label.feature,
                    rank=rank,
                    group=label.group,
                    unclear=label.unclear,
                    share=float(record.decoder_weight_share[head.head]) if record else None,
                    fve=fve_by_head(record)[head.head] if record else None,
                    promoted=whole_logits(record.promoted, vocabulary)[:N_TOKENS] if record else (),
                )
            )
        return tuple(features)


def _groups(content: HeadAnnotation) -> tuple[EntryGroup, ...]:
    levels: dict[str, Abstraction | None] = {group.name: group.abstraction for group in content.groups}
    return tuple(EntryGroup(name, count, levels[name]) for name, count in content.computed.groups)


def publication(context: AtlasContext, by: str | None = None) -> Publication:
    """The records to publish, of those that the viewer may see. `by` defaults to the viewer, else to the first by name.

    Raises NoSuchAnnotator for a name without visible submitted records.
    """
    submitted: dict[str, dict[HeadRef, Revision]] = {}
    for record in context.records:
        if record.status == "submitted" and isinstance(record.subject.ref, HeadRef):
            submitted.setdefault(record.annotator, {})[record.subject.ref] = record
    if by is not None and by not in submitted:
        raise NoSuchAnnotator(f"{by[:60]!r} has no submitted record to publish")
    people = sorted(submitted.keys() - {CONSENSUS})
    default = next((name for name in (context.viewer.name, *people, CONSENSUS) if name in submitted), None)
    chosen = by if by is not None else default
    records = {**submitted.get(chosen or "", {}), **submitted.get(CONSENSUS, {})}
    return Publication(context, chosen, tuple(sorted(submitted)), dict(sorted(records.items())))


def publication_page(context: AtlasContext, by: str | None = None, page: int = 1) -> PublicationPage:
    """One part of the entries, with tally and layers of all. Raises NoSuchAnnotator, or NotFound past the last part."""
    whole = publication(context, by)
    heads = list(whole.records)
    if not 1 <= page <= whole.n_pages:
        raise NotFound(f"the entries have {whole.n_pages} parts, not {page}")
    of_page = heads[(page - 1) * ENTRIES_PER_PAGE : page * ENTRIES_PER_PAGE]
    return PublicationPage(
        model=context.run.slug,
        run=summarise_run(context.run.record),
        by=whole.by,
        annotators=whole.annotators,
        n_entries=len(heads),
        n_consensus=whole.n_consensus,
        n_heads=whole.added.n_heads,
        page=page,
        n_pages=whole.n_pages,
        entries=tuple(whole.entries(of_page)),
        tally=whole.added.tally,
        left_out=whole.added.left_out,
        layers=layer_lines(whole.added, {}),
    )
