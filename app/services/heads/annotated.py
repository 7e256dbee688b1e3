"""Head pages with the panel of annotation beside them."""

from dataclasses import replace

from app.services.annotations.panel import Attempt, Shown, panel
from app.services.annotations.snapshot import Known
from app.services.heads.models import FeatureRow, HeadPage
from app.services.heads.page import HeadQuestion, feature_row, head_page
from app.services.reading.reading import Reading
from app.services.reading.visibility import Viewer


def annotated_head(
    reading: Reading, viewer: Viewer, question: HeadQuestion, attempt: Attempt | None = None
) -> HeadPage:
    """The page of a head as this viewer may see and annotate it."""
    return known_head(reading, Known.read(reading.session, reading.run, viewer), question, attempt)


def known_head(
    reading: Reading, known: Known, question: HeadQuestion, attempt: Attempt | None = None
) -> HeadPage:
    """The same from annotations that are read already, for whoever makes many pages."""
    page = head_page(reading, replace(question, viewer=known.viewer))
    shown = Shown(page.head, page.rank, page.k, page.features)
    return replace(page, annotation=panel(known, shown, attempt))


def annotated_row(reading: Reading, viewer: Viewer, question: HeadQuestion) -> FeatureRow:
    """The opened row of that page alone. Raises NotFound where the feature is not in the ranking."""
    page = feature_row(reading, question)
    known = Known.read(reading.session, reading.run, viewer)
    return replace(page, annotation=panel(known, Shown(page.head, page.rank, 0, (page.row,))))
