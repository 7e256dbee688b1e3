"""Head pages together with the annotation panel."""

from dataclasses import replace

from app.services.annotations.models import Panel
from app.services.annotations.panel import Attempt, ShownRows, panel, shown_rows
from app.services.heads.models import HeadFeatureRow, HeadPage
from app.services.heads.page import HeadQuestion, feature_row, head_page, head_rows
from app.services.reading.context import AtlasContext


def annotated_head(context: AtlasContext, question: HeadQuestion, attempt: Attempt | None = None) -> HeadPage:
    """The page of a head as the viewer may see and annotate it."""
    page = head_page(context, question)
    rows = context.cache.of_page(context.run, question, lambda: _rows(context, page))
    return replace(page, annotation=panel(context, rows, attempt))


def annotation_panel(context: AtlasContext, question: HeadQuestion) -> Panel:
    """The annotation panel of that page alone, which is all of it that changes while the run does not."""
    rows = context.cache.of_page(context.run, question, lambda: _rows(context, head_page(context, question)))
    return panel(context, rows)


def _rows(context: AtlasContext, page: HeadPage) -> ShownRows:
    rows = shown_rows(context, page.head, page.rank, page.k, page.features)
    if page.attention:
        shown, strongest = page.attention.shown(page.head), page.attention.strongest(page.head)
        rows = replace(rows, examples=shown, strongest=strongest)
    return rows


def annotated_row(context: AtlasContext, question: HeadQuestion) -> HeadFeatureRow:
    """The opened row of that page alone. Raises NotFound if the feature is not in the ranking."""
    page = feature_row(context, question)
    # Only who may write is offered a suggestion.
    neighbours = head_rows(context, replace(question, open_feature=None)) if context.viewer.may_write else ()
    rows = shown_rows(context, page.head, page.rank, 0, (page.row,), neighbours)
    return replace(page, annotation=panel(context, rows))
