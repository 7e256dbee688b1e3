"""Alternative texts of pictures, and titles of marks, as whole sentences."""

from collections.abc import Iterable, Sequence

from app.domain.annotations.records import HeadAnnotation
from app.domain.records import SaeRecord
from app.domain.refs import HeadRef
from app.services.atlas.annotation_models import AtlasNotes, FamilyPart
from app.services.atlas.models import AtlasHead
from app.services.prompts.models import PromptReading
from app.services.reading.scores import ScoreRank
from app.services.rollups.agreement import Opinion
from app.services.rollups.overview import GroupCount
from app.web.drawing.charts import Dumbbell, Ticks
from app.web.drawing.display_names import chosen_word, family_name, type_name
from app.web.drawing.numbers import count, number
from app.web.drawing.sheet import LevelChart, type_title


def cell_name(cell: AtlasHead, score: str | None) -> str:
    """The text of a cell of the atlas: head, type, roles, and the value of the score if that colours it."""
    words = [str(cell.head)]
    if cell.notes:
        words += [type_name(cell.notes.head_type)] if cell.notes.head_type else []
        words += cell.notes.roles
    if score is not None:
        words.append(f"{chosen_word(score)} {number(cell.scores.get(score))}")
    return ", ".join(words)


def columns_name(name: str, labels: Sequence[str], counts: Sequence[int]) -> str:
    """The text of a column chart: each label with its count."""
    return f"{name}: " + ", ".join(f"{label} {count}" for label, count in zip(labels, counts, strict=False))


def standing_name(standing: ScoreRank, line: Ticks) -> str:
    """A head's score, its place, and the range of all heads."""
    place = f"place {standing.place} of {len(standing.values)}"
    return f"{number(standing.value)}, {place}; all heads {_range(line)}"


def compared_name(names: Sequence[object], values: Sequence[float | None], line: Dumbbell) -> str:
    """The compared heads with their values of one score, and the range of all heads."""
    each = ", ".join(f"{name} {number(value)}" for name, value in zip(names, values, strict=True))
    return f"{each}; all heads {_range(line)}"


def _range(line: Ticks | Dumbbell) -> str:
    return f"from {number(line.low)} to {number(line.high)}"


def families_name(families: Iterable[FamilyPart]) -> str:
    """Families of groups with their counts."""
    return ", ".join(f"{family_name(part.family)} {part.count}" for part in families)


def groups_name(groups: Iterable[GroupCount]) -> str:
    """Groups of a head's features with their counts."""
    return ", ".join(f"{group.count} {group.name or 'unclear or open'}" for group in groups)


def levels_name(chart: LevelChart) -> str:
    """The first and the last point of a chart of abstraction by layer."""
    (_, _, first, lower), (_, _, last, upper) = chart.points[0], chart.points[-1]
    ends = f"from {number(lower)} in layer {first} to {number(upper)} in layer {last}"
    return f"Mean level of abstraction {ends}; 1 is token, 4 is context"


def novelty_name(notes: AtlasNotes) -> str:
    """How many heads bring a new group, beside the published count where there is one."""
    here = f"{notes.novelty[-1]} heads with a group that no earlier head has"
    published = notes.published_novel
    return f"{here}; the published reference counts {published}" if published else here


def attention_name(reading: PromptReading) -> str:
    """The text of an attention pattern: the token that the chosen one attends to most."""
    most, row = reading.most_attended, reading.pattern[reading.dest]
    return f"Attention of {reading.head}: from token {reading.dest} most to token {most}, {number(row[most])}"


def assessment(content: HeadAnnotation) -> str:
    """How sure the annotator is, and whether the head was known or surprising; empty if nothing is said."""
    words = (
        f"confidence {content.confidence} of 5" if content.confidence else "",
        f"knew it before: {content.knew_before}" if content.knew_before else "",
        "surprising grouping" if content.surprising else "",
    )
    return "; ".join(filter(None, words))


def cite_name(head: HeadRef, number: int | str | None) -> str:
    """The label of an example's button: whether it cites the example in the viewer's record or takes the citation out.

    The number may be a placeholder."""
    if number:
        return f"Evidence {number} of your record of {head}: take it out"
    return f"Cite in your record of {head}"


def opinion_name(opinion: Opinion) -> str:
    """An annotator with the type they gave."""
    words = type_title(opinion.head_type) if opinion.head_type else "no settled type"
    return f"{opinion.annotator}: {words}"


def sae_name(sae: SaeRecord) -> str:
    """An SAE with its size and quality."""
    return f"{sae.name}: {count(sae.d_sae)} features, L0 {number(sae.l0)}, FVU {number(sae.fvu)}"


GLOBALS = {
    "sae_name": sae_name,
    "assessment": assessment,
    "cite_name": cite_name,
    "opinion_name": opinion_name,
    "cell_name": cell_name,
    "columns_name": columns_name,
    "standing_name": standing_name,
    "compared_name": compared_name,
    "families_name": families_name,
    "groups_name": groups_name,
    "levels_name": levels_name,
    "novelty_name": novelty_name,
    "attention_name": attention_name,
}
