"""Page dataclasses of the annotation pages, every field with its help."""

from dataclasses import dataclass
from typing import Annotated

from app.domain.annotations.head_types import HeadType
from app.domain.annotations.layer_table import NotableHead
from app.domain.annotations.roles import Family
from app.domain.annotations.tallies import LeftOut, SensitivityRow, Tally
from app.domain.records import Ranking
from app.domain.refs import HeadRef
from app.services.examples.models import RunSummary
from app.services.rollups.agreement import Agreement, Opinion
from app.services.rollups.consistency import SelfConsistency
from app.services.rollups.overview import GroupCount, PublishedTotals
from app.services.rollups.published import Comparison
from app.services.sheet.selection import SheetView


@dataclass(frozen=True)
class SheetRow:
    """One record as a row: the text of every shown column, and the values from which its marks are drawn."""

    head: Annotated[HeadRef, "The head"]
    annotator: Annotated[str, "Whose record it is"]
    cells: Annotated[dict[str, str], "Text by column"]
    head_type: Annotated[HeadType | None, "The head type"]
    overridden: Annotated[bool, "Whether the annotator gave the type against the groups"]
    provisional: Annotated[bool, "Whether features are not labelled yet"]
    roles: Annotated[tuple[str, ...], "The roles"]
    groups: Annotated[tuple[GroupCount, ...], "Groups of the top features"]


@dataclass(frozen=True)
class AgreementPage:
    """Agreement of annotators, as far as the viewer may see their records."""

    model: Annotated[str, "The atlas"]
    run: Annotated[RunSummary, "The run that is live"]
    agreement: Annotated[Agreement, "Numbers, confusions and heads to settle"]
    consistency: Annotated[tuple[SelfConsistency, ...], "Of those who looked at heads twice, by name"]


@dataclass(frozen=True)
class AnnotationsPage:
    model: Annotated[str, "The atlas"]
    run: Annotated[RunSummary, "The run that is live"]
    agreement: Annotated[Agreement, "Numbers, confusions and heads to settle"]
    consistency: Annotated[tuple[SelfConsistency, ...], "Of those who looked at heads twice, by name"]
    view: Annotated[SheetView, "Which rows and columns are shown"]
    rows: Annotated[tuple[SheetRow, ...], "The rows of this page of the view"]
    n_rows: Annotated[int, "Rows of the view"]
    page: Annotated[int, "Which part of the view, from 1"]
    n_pages: Annotated[int, "How many parts"]
    n_records: Annotated[int, "Records of heads that the viewer may see"]
    n_heads: Annotated[int, "Heads that they are of"]
    annotators: Annotated[tuple[str, ...], "Whose records the viewer may see"]
    roles: Annotated[tuple[str, ...], "Roles that are given, to filter by"]
    settled: Annotated[tuple[HeadRef, ...], "Heads with a record of the consensus"]
    blind: Annotated[bool, "Whether others' records are hidden until one's own is submitted"]
    can_settle: Annotated[bool, "Whether the viewer may write the consensus"]
    can_import: Annotated[bool, "Whether the viewer may import"]
    imported: Annotated[int | None, "How many records an import has just stored"]


@dataclass(frozen=True)
class NamedCount:
    name: Annotated[str, "A group's name"]
    count: Annotated[int, "Labelled features that are in it"]


@dataclass(frozen=True)
class FamilyCount:
    family: Annotated[Family, "A family of groups"]
    count: Annotated[int, "Labelled features of its groups"]


@dataclass(frozen=True)
class PublishedRoles:
    head: Annotated[HeadRef, "The head"]
    roles: Annotated[tuple[str, ...], "Its published roles"]
    head_type: Annotated[HeadType | None, "Its published type"]


@dataclass(frozen=True)
class LayerLine:
    layer: Annotated[int, "The layer, from 0"]
    n_heads: Annotated[int, "Annotated heads"]
    groups: Annotated[tuple[NamedCount, ...], "Groups of the top features, largest first"]
    families: Annotated[tuple[FamilyCount, ...], "Families of the groups"]
    notable: Annotated[
        tuple[NotableHead, ...], "Heads that stand out: one or two groups, a role, or flagged as surprising"
    ]
    abstraction: Annotated[float | None, "Mean level, token 1 to context 4; null where no group has one"]
    n_novel: Annotated[int, "Heads with a group that no earlier head has"]
    published: Annotated[tuple[PublishedRoles, ...], "What is published of the layer's heads"]


@dataclass(frozen=True)
class AnnotatedLayersPage:
    """One annotator's labels, or the consensus, by layer and by head type."""

    model: Annotated[str, "The atlas"]
    run: Annotated[RunSummary, "The run that is live"]
    by: Annotated[str | None, "Whose submitted records these are; null while there are none"]
    annotators: Annotated[tuple[str, ...], "Whose records could be shown"]
    n_heads: Annotated[int, "Heads of the model"]
    n_submitted: Annotated[int, "Heads with a submitted record of this annotator"]
    tally: Annotated[Tally, "Heads by type"]
    left_out: Annotated[
        tuple[LeftOut, ...], "Submitted heads that it leaves out, and how much of them is open"
    ]
    layers: Annotated[tuple[LayerLine, ...], "Layers from 0 up"]
    sensitivity: Annotated[
        tuple[SensitivityRow, ...], "The tally from the same groups for other k and rankings"
    ]
    rankings: Annotated[tuple[Ranking, ...], "The rankings of the sensitivity"]
    n_novel: Annotated[int, "Heads with a group that no earlier head has"]
    n_surprising: Annotated[int, "Heads that the annotator flagged as surprising"]
    published: Annotated[PublishedTotals | None, "Published totals; null where there are none, or hidden"]


@dataclass(frozen=True)
class PublishedPage:
    """One annotator's submitted records beside the published facts about the model."""

    model: Annotated[str, "The atlas"]
    run: Annotated[RunSummary, "The run that is live"]
    by: Annotated[str | None, "Whose records are compared; null while there are none"]
    annotators: Annotated[tuple[str, ...], "Whose records could be compared"]
    source: Annotated[str | None, "The published source; null where there is none for this model"]
    comparison: Annotated[Comparison, "Head by head, and totals"]
    missing: Annotated[tuple[PublishedRoles, ...], "Published heads that this annotator has not submitted"]
    n_hidden: Annotated[int, "Published heads that are hidden until one's own record is submitted"]
    contradictions: Annotated[
        tuple[str, ...], "Where the source contradicts itself; empty while heads are hidden"
    ]
    totals: Annotated[PublishedTotals | None, "Published totals; null where there are none, or hidden"]
    tally: Annotated[Tally, "The annotator's heads by type, over all they submitted"]


@dataclass(frozen=True)
class ConsensusSource:
    """A record that the consensus can be started from."""

    opinion: Annotated[Opinion, "Who, type and roles"]
    groups: Annotated[tuple[GroupCount, ...], "Groups of the top features"]
    notes: Annotated[str, "Their notes"]
    override_reason: Annotated[str, "Why they overrode the type"]


@dataclass(frozen=True)
class ConsensusPage:
    """The form with which an admin sets the consensus of a head."""

    model: Annotated[str, "The atlas"]
    run: Annotated[RunSummary, "The run that is live"]
    head: Annotated[HeadRef, "The head"]
    sources: Annotated[tuple[ConsensusSource, ...], "The head's records, the consensus included"]
    base: Annotated[str, "The annotator whose groups and labels are copied; empty for nobody"]
    head_type: Annotated[str, "The type; empty if it follows from the groups"]
    reason: Annotated[str, "Why the type is not what the groups give"]
    roles: Annotated[str, "Roles between semicolons"]
    notes: Annotated[str, "Notes"]
    base_version: Annotated[int, "Version of the consensus that the form was filled from; 0 for none"]
    key: Annotated[str, "Identifies this form, so that sending it twice saves once"]
    message: Annotated[str, "What was wrong with the last attempt; empty before one"]


@dataclass(frozen=True)
class CellChange:
    name: Annotated[str, "The column"]
    before: Annotated[str, "What is stored, shortened"]
    after: Annotated[str, "What would be, shortened"]


@dataclass(frozen=True)
class PlannedRow:
    row: Annotated[int, "Its number in the sheet"]
    kind: Annotated[str, "new or changed"]
    subject: Annotated[str, "The head or feature"]
    annotator: Annotated[str, "Whose record"]
    cells: Annotated[tuple[CellChange, ...], "What changes"]


@dataclass(frozen=True)
class WrongRow:
    sheet: Annotated[str, "heads or feature_notes"]
    row: Annotated[int, "Its number in the sheet"]
    message: Annotated[str, "What is wrong with it"]


@dataclass(frozen=True)
class MappedColumn:
    column: Annotated[str, "A column of the uploaded sheet that Head Atlas does not have"]
    ours: Annotated[str, "The column that it is read as; empty if it is ignored"]


@dataclass(frozen=True)
class ImportDiff:
    """The changes that importing the sheet would make; rows are listed up to a limit, and counted in full."""

    file_name: Annotated[str, "The name of the file"]
    token: Annotated[str, "Token of the uploaded rows, valid until they are stored or expire"]
    plan: Annotated[str, "Digest of these changes: only the same changes are stored"]
    changes: Annotated[tuple[PlannedRow, ...], "Rows that would change something"]
    wrong: Annotated[tuple[WrongRow, ...], "Rows that are wrong; nothing is stored while there are any"]
    columns: Annotated[
        tuple[MappedColumn, ...], "Columns of the uploaded sheet that Head Atlas does not have"
    ]
    n_new: Annotated[int, "Records that would be new"]
    n_changed: Annotated[int, "Records that would change"]
    n_unchanged: Annotated[int, "Rows that change nothing"]
    n_wrong: Annotated[int, "Rows that are wrong"]


@dataclass(frozen=True)
class ImportPage:
    model: Annotated[str, "The atlas"]
    run: Annotated[RunSummary, "The run that is live"]
    diff: Annotated[
        ImportDiff | None, "The changes that the uploaded sheet would make; null before an upload"
    ]
    ours: Annotated[tuple[str, ...], "Columns that can be read"]
    message: Annotated[str, "What was wrong with the last attempt; empty before one"]
    role: Annotated[str, "viewer, annotator or admin; an admin may import others' records"]
