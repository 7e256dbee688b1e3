"""The spreadsheet page, the layer table, the agreement page, and the comparison with published facts."""

from collections.abc import Mapping

from app.domain.annotations.records import HeadAnnotation, Revision
from app.domain.records import RANKINGS
from app.domain.refs import HeadRef
from app.errors import NotFound
from app.services.examples.from_records import summarise_run
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import Viewer
from app.services.rollups.agreement import agreement
from app.services.rollups.overview import default_annotator, published_totals, summarise_record
from app.services.rollups.published import PublishedHead, compare, published_for, visible_published
from app.services.rollups.rollup import RollUp, add_up, agree, consistency, submitted_heads, with_sensitivity
from app.services.sheet.models import (
    AgreementPage,
    AnnotatedLayersPage,
    AnnotationsPage,
    FamilyCount,
    LayerLine,
    NamedCount,
    PublishedPage,
    PublishedRoles,
    SheetRow,
)
from app.services.sheet.rows import Row, rows_of
from app.services.sheet.selection import SheetView, view_rows
from app.store.annotators import CONSENSUS

ROWS_PER_PAGE = 60
Submitted = dict[str, dict[HeadRef, HeadAnnotation]]


class NoSuchAnnotator(NotFound):
    """No annotator of this name has a record that may be shown."""


def annotations_page(
    context: AtlasContext,
    view: SheetView,
    page: int = 1,
    imported: int | None = None,
) -> AnnotationsPage:
    """One page of the spreadsheet, with the records that the viewer may see.

    Raises NotFound beyond the last page.
    """
    records = context.records
    heads = {(str(r.subject.ref), r.annotator): r for r in records if isinstance(r.subject.ref, HeadRef)}
    rows = view_rows(rows_of(records).heads, view)
    n_pages = max(1, -(-len(rows) // ROWS_PER_PAGE))
    if not 1 <= page <= n_pages:
        raise NotFound(f"the view has {n_pages} pages, not {page}")
    by_annotator = submitted_heads(records)
    consensus = by_annotator.pop(CONSENSUS, {})
    page_rows = rows[(page - 1) * ROWS_PER_PAGE : page * ROWS_PER_PAGE]
    may_write = context.viewer.may_write
    return AnnotationsPage(
        model=context.run.slug,
        run=summarise_run(context.run.record),
        agreement=agreement(by_annotator),
        consistency=consistency(context),
        view=view,
        rows=tuple(_sheet_row(row, heads[row["head"], row["annotator"]], view) for row in page_rows),
        n_rows=len(rows),
        page=page,
        n_pages=n_pages,
        n_records=len(heads),
        n_heads=len({record.subject.ref for record in heads.values()}),
        annotators=tuple(sorted({name for _, name in heads})),
        roles=tuple(sorted({role for record in heads.values() for role in record.head.roles})),
        settled=tuple(sorted(consensus)),
        blind=context.viewer.blind,
        can_settle=context.viewer.role == "admin",
        can_import=may_write,
        imported=imported,
    )


def _sheet_row(row: Row, record: Revision, view: SheetView) -> SheetRow:
    summary = summarise_record(record, ())
    return SheetRow(
        head=summary.head,
        annotator=summary.annotator,
        cells={name: row[name] for name in view.columns},
        head_type=summary.head_type,
        overridden=summary.overridden,
        provisional=summary.provisional,
        roles=summary.roles,
        groups=summary.groups,
    )


def agreement_page(context: AtlasContext) -> AgreementPage:
    run = summarise_run(context.run.record)
    return AgreementPage(context.run.slug, run, agree(context), consistency(context))


def layers_page(context: AtlasContext, by: str | None = None) -> AnnotatedLayersPage:
    """One annotator's labels by layer (default as in `default_annotator`).

    Raises NoSuchAnnotator for a name without visible submitted records.
    """
    submitted = submitted_heads(context.records)
    chosen = _chosen(submitted, context.viewer, by)
    model = context.run.record.model
    heads = submitted.get(chosen or "", {})
    added = with_sensitivity(context, add_up(chosen or "", heads, model.n_layers, model.n_heads), heads)
    return AnnotatedLayersPage(
        model=context.run.slug,
        run=summarise_run(context.run.record),
        by=chosen,
        annotators=tuple(sorted(submitted)),
        n_heads=added.n_heads,
        n_submitted=added.n_submitted,
        tally=added.tally,
        left_out=added.left_out,
        layers=layer_lines(added, visible_published(context)),
        sensitivity=added.sensitivity,
        rankings=RANKINGS,
        n_novel=len(added.novel),
        n_surprising=added.n_surprising,
        published=published_totals(context),
    )


def layer_lines(added: RollUp, published: Mapping[HeadRef, PublishedHead]) -> tuple[LayerLine, ...]:
    """The lines of the layer table; published: the published facts to set beside them."""
    return tuple(
        LayerLine(
            layer=row.layer,
            n_heads=row.n_heads,
            groups=tuple(NamedCount(name, count) for name, count in row.groups),
            families=tuple(FamilyCount(family, count) for family, count in row.families),
            notable=row.notable,
            abstraction=row.abstraction,
            n_novel=sum(head.layer == row.layer for head in added.novel),
            published=tuple(
                _published_roles(published[head]) for head in sorted(published) if head.layer == row.layer
            ),
        )
        for row in added.layers
    )


def _published_roles(published: PublishedHead) -> PublishedRoles:
    return PublishedRoles(published.head, published.annotation.roles, published.annotation.override)


def _chosen(submitted: Submitted, viewer: Viewer, by: str | None) -> str | None:
    if by is not None and by not in submitted and by != viewer.name:
        raise NoSuchAnnotator(f"{by[:60]!r} has no submitted record to show")
    return by if by is not None else default_annotator(submitted, viewer)


def published_page(context: AtlasContext, by: str | None = None) -> PublishedPage:
    """One annotator's records beside the published facts (default as in `default_annotator`).

    Raises NoSuchAnnotator for a name without visible submitted records.
    """
    submitted = submitted_heads(context.records)
    chosen = _chosen(submitted, context.viewer, by)
    heads = submitted.get(chosen or "", {})
    model = context.run.record.model
    published, visible = published_for(model), visible_published(context)
    n_hidden = len(published.heads) - len(visible) if published else 0
    return PublishedPage(
        model=context.run.slug,
        run=summarise_run(context.run.record),
        by=chosen,
        annotators=tuple(sorted(submitted)),
        source=published.source if published else None,
        comparison=compare(heads, visible),
        missing=tuple(_published_roles(visible[head]) for head in sorted(visible.keys() - heads.keys())),
        n_hidden=n_hidden,
        contradictions=published.contradictions if published and not n_hidden else (),
        totals=published_totals(context),
        tally=add_up(chosen or "", heads, model.n_layers, model.n_heads).tally,
    )
