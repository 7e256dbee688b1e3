"""Head pages together with the annotation panel."""

from collections.abc import Sequence
from dataclasses import replace

from app.services.annotations.hints import Suggestions, suggest
from app.services.annotations.long_prefixes import usual_long_share
from app.services.annotations.models import Panel
from app.services.annotations.panel import Attempt, ShownRows, panel
from app.services.examples.models import FeatureThroughHead
from app.services.heads.models import HeadFeatureRow, HeadPage
from app.services.heads.page import HeadQuestion, feature_row, head_page, head_rows
from app.services.reading.context import AtlasContext


def annotated_head(context: AtlasContext, question: HeadQuestion, attempt: Attempt | None = None) -> HeadPage:
    """The page of a head as the viewer may see and annotate it."""
    page = head_page(context, question)
    rows = context.cache.of_page(context.run, question, lambda: _rows(page))
    form = panel(context, rows, lambda: _suggestions(context, question, page.features), attempt)
    return replace(page, annotation=form)


def annotation_panel(context: AtlasContext, question: HeadQuestion) -> Panel:
    """The annotation panel of that page alone, which is all of it that changes while the run does not."""
    rows = context.cache.of_page(context.run, question, lambda: _rows(head_page(context, question)))
    return panel(context, rows, lambda: _suggestions(context, question))


def annotated_row(context: AtlasContext, question: HeadQuestion) -> HeadFeatureRow:
    """The opened row of that page alone. Raises NotFound if the feature is not in the ranking."""
    page = feature_row(context, question)
    rows = ShownRows(page.head, page.rank, 0, (page.row.feature,))
    return replace(page, annotation=panel(context, rows, lambda: _suggestions(context, question)))


def _rows(page: HeadPage) -> ShownRows:
    rows = ShownRows(page.head, page.rank, page.k, tuple(row.feature for row in page.features))
    if page.attention:
        shown, strongest = page.attention.shown(page.head), page.attention.strongest(page.head)
        rows = replace(rows, examples=shown, strongest=strongest)
    return rows


def _suggestions(
    context: AtlasContext, question: HeadQuestion, features: Sequence[FeatureThroughHead] | None = None
) -> Suggestions:
    """What evidence suggests for the page's features, whichever row is open: what one is called depends on the others.

    features: of that page; read if they are not given and are needed.
    """
    head, rank, k = question.head, question.rank, question.k

    def load() -> Suggestions:
        rows = head_rows(context, HeadQuestion(head, rank, k)) if features is None else features
        return suggest(rows, lambda: usual_long_share(context, head, rank, rows))

    return context.cache.of_page(context.run, ("suggestions", head, rank, k), load)
