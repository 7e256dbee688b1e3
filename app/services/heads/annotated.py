"""Head pages with the panel of annotation beside them."""

from dataclasses import replace

from app.services.annotations.panel import Attempt, ShownRows, panel
from app.services.annotations.snapshot import AnnotationSnapshot
from app.services.heads.models import HeadFeatureRow, HeadPage
from app.services.heads.page import HeadQuestion, feature_row, head_page
from app.services.reading.reading import Reading
from app.services.reading.visibility import Viewer


def annotated_head(
    reading: Reading, viewer: Viewer, question: HeadQuestion, attempt: Attempt | None = None
) -> HeadPage:
    """The page of a head as this viewer may see and annotate it."""
    return known_head(
        reading, AnnotationSnapshot.read(reading.session, reading.run, viewer), question, attempt
    )


def known_head(
    reading: Reading, known: AnnotationSnapshot, question: HeadQuestion, attempt: Attempt | None = None
) -> HeadPage:
    """The same from annotations that are read already, for whoever makes many pages."""
    page = head_page(reading, replace(question, viewer=known.viewer))
    shown = ShownRows(page.head, page.rank, page.k, page.features)
    return replace(page, annotation=panel(known, shown, attempt))


def annotated_row(reading: Reading, viewer: Viewer, question: HeadQuestion) -> HeadFeatureRow:
    """The opened row of that page alone. Raises NotFound where the feature is not in the ranking."""
    page = feature_row(reading, question)
    known = AnnotationSnapshot.read(reading.session, reading.run, viewer)
    return replace(page, annotation=panel(known, ShownRows(page.head, page.rank, 0, (page.row,))))
