"""The tables to publish: heads, features, head types, layers and what they were made from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from app.domain.annotations.head_types import HEAD_TYPE_NAMES
from app.domain.annotations.type_words import type_in_words
from app.services.sheet.publication import Publication
from app.services.sheet.publication_models import EntryFeature, HeadEntry

Cell = str | int | float | None
Kind = Literal["text", "whole", "number", "percent"]
N_FEATURES = 3  # in a head's row; the table of features has all
ADDRESS = "/{model}/heads/{head}"


@dataclass(frozen=True)
class TableColumn:
    """A column of a table: its title, its width in characters, and the kind of its cells."""

    title: str
    width: int
    kind: Kind = "text"


@dataclass(frozen=True)
class PublishedTable:
    """A table to read and to print; cells of another kind than text are numbers, or empty. links: each row's page."""

    name: str
    columns: tuple[TableColumn, ...]
    rows: Sequence[Sequence[Cell]]
    links: Sequence[str] = ()


def groups_in_words(entry: HeadEntry) -> str:
    """`induction 8 (token), bigram 1, unclear 1`."""
    parts = [
        f"{group.name} {group.count}" + (f" ({group.abstraction})" if group.abstraction else "")
        for group in entry.groups
    ]
    parts += [f"unclear {entry.n_unclear}"] if entry.n_unclear else []
    parts += [f"open {entry.n_open}"] if entry.n_open else []
    return ", ".join(parts)


def novelty_in_words(entry: HeadEntry) -> str:
    """The groups that the head brings, and whether it surprised."""
    new = [f"new: {', '.join(entry.new_groups)}"] if entry.new_groups else []
    return "; ".join([*new, *(["surprising"] if entry.surprising else [])])


def entry_type_in_words(entry: HeadEntry) -> str:
    """The type in words, with the reason if the annotator chose it against the groups."""
    if entry.override_reason:
        return f"{type_in_words(entry.head_type, 0, 0)} (by judgement: {entry.override_reason})"
    return type_in_words(entry.head_type, len(entry.groups), entry.n_open)


def tokens_in_words(feature: EntryFeature) -> str:
    """The promoted tokens between quotes, since a space at the start of one is part of it; no line ends in a token."""
    return " ".join(f"“{token.view.visible_text}”".replace(" ", "\u00a0") for token in feature.promoted)


def feature_in_words(feature: EntryFeature) -> str:
    """`L5F7: share 0.31, FVE 0.42, “ the” “ a”`."""
    share = "not in this run" if feature.share is None else f"share {feature.share:.2f}"
    fve = "" if feature.fve is None else f", FVE {feature.fve:.2f}"
    return f"{feature.feature}: {share}{fve}{', ' if feature.promoted else ''}{tokens_in_words(feature)}"


def examples_in_words(entry: HeadEntry) -> str:
    """A paragraph per group: feature, the text that fires, its document, the text that the head reads there."""
    return "\n\n".join(
        f"{example.group}{f', {example.feature}' if example.feature else ''}: {example.fires}"
        + (f" ({example.document.label})" if example.document else "")
        + (f"\n   ← {example.reads}" if example.reads else "")
        for example in entry.examples
    )


ENTRY_COLUMNS: tuple[tuple[TableColumn, Callable[[HeadEntry], Cell]], ...] = (
    (TableColumn("Head", 7), lambda entry: str(entry.head)),
    (TableColumn("Type", 15), entry_type_in_words),
    (TableColumn("Roles", 12), lambda entry: ", ".join(entry.roles)),
    (TableColumn("Groups", 18), groups_in_words),
    (TableColumn("Level", 6, "number"), lambda entry: entry.abstraction),
    (TableColumn("Novelty", 12), novelty_in_words),
    (TableColumn("Sure", 5, "whole"), lambda entry: entry.confidence),
    (TableColumn("Notes", 20), lambda entry: entry.notes),
    (
        TableColumn("Top features", 28),
        lambda entry: "\n".join(map(feature_in_words, entry.features[:N_FEATURES])),
    ),
    (TableColumn("An example of each group", 42), examples_in_words),
    (TableColumn("Record of", 9), lambda entry: entry.annotator),
)


def heads_table(whole: Publication, entries: Sequence[HeadEntry], site: str) -> PublishedTable:
    """One row per head. site: where the atlas is served (https://atlas.example.org); without it, links are paths."""
    return PublishedTable(
        "Heads",
        tuple(column for column, _ in ENTRY_COLUMNS),
        [[value(entry) for _, value in ENTRY_COLUMNS] for entry in entries],
        [
            site.rstrip("/") + ADDRESS.format(model=whole.context.run.slug, head=entry.head)
            for entry in entries
        ],
    )


def features_table(entries: Sequence[HeadEntry]) -> PublishedTable:
    """Every top feature, its numbers as numbers."""
    columns = (
        TableColumn("Head", 8),
        TableColumn("Rank", 6, "whole"),
        TableColumn("Feature", 12),
        TableColumn("Group", 28),
        TableColumn("Share", 8, "number"),
        TableColumn("FVE", 8, "number"),
        TableColumn("Promotes", 48),
    )
    rows = [
        (
            str(entry.head),
            feature.rank,
            str(feature.feature),
            "unclear" if feature.unclear else feature.group or "",
            feature.share,
            feature.fve,
            tokens_in_words(feature),
        )
        for entry in entries
        for feature in entry.features
    ]
    return PublishedTable("Features", columns, rows)


def types_table(whole: Publication) -> PublishedTable:
    """Heads by type. What the tally leaves out is its last row, without a share."""
    columns = (
        TableColumn("Head type", 44),
        TableColumn("Heads", 8, "whole"),
        TableColumn("Share", 8, "percent"),
    )
    tally = whole.added.tally
    rows: list[Sequence[Cell]] = [
        (HEAD_TYPE_NAMES[row.head_type], row.count, row.fraction if row.total else None) for row in tally.rows
    ]
    rows.append(("all with a settled type", tally.total, 1.0 if tally.total else None))
    if out := whole.added.left_out:
        rows.append((f"left out: {', '.join(each.words for each in out)}", len(out), None))
    return PublishedTable("Head types", columns, rows)


def layers_table(whole: Publication) -> PublishedTable:
    """Layers with entries: their groups with counts, notable heads, mean level and new groups."""
    columns = (
        TableColumn("Layer", 7, "whole"),
        TableColumn("Heads", 7, "whole"),
        TableColumn("Groups of features", 60),
        TableColumn("Notable heads", 44),
        TableColumn("Level", 7, "number"),
        TableColumn("New", 7, "whole"),
    )
    rows: list[Sequence[Cell]] = [
        (
            row.layer,
            row.n_heads,
            ", ".join(f"{name} {count}" for name, count in row.groups),
            ", ".join(
                f"{each.head}{'*' if each.all_alike else ''} {', '.join(each.roles) or each.group}".strip()
                for each in row.notable
            ),
            row.abstraction,
            sum(head.layer == row.layer for head in whole.added.novel),
        )
        for row in whole.added.layers
        if row.n_heads
    ]
    return PublishedTable("Layers", columns, rows)


def about_table(whole: Publication) -> PublishedTable:
    """What the other tables were made from, and how they are to be read."""
    run = whole.context.run.record
    lines = (
        ("Atlas", f"{whole.context.run.slug}, run {run.fingerprint}"),
        ("Model", f"{run.model.name} at {run.model.revision}"),
        ("Corpus", f"{run.corpus}, {run.n_tokens} tokens"),
        *((f"SAE of layer {sae.layer}", f"{sae.name} ({sae.checksum})") for sae in run.saes),
        (
            "Records",
            f"{len(whole.records)} heads, submitted by {whole.by}; {whole.n_consensus} of the consensus",
        ),
        ("Groups", "of the top features by which a head's type is told, with how many features are in each"),
        (
            "Level",
            "of abstraction: token 1, syntax 2, concept 3, context 4; the mean is over labelled features",
        ),
        ("Sure", "how sure the annotator is, 1 to 5"),
        ("Novelty", "groups that no earlier head of this table has, from the first layer up"),
        ("Share", "of the feature's decoder row in the head's slice"),
        ("FVE", "fraction of the feature's variance that the head explains, over active tokens"),
        ("Examples", "the token between « » fires; after ← what the head reads most there"),
        (
            "Notable heads",
            "of one or two groups, with a role, or surprising; * all top features in one group",
        ),
        (
            "Types",
            "rest on top features: unrelated groups are good evidence against one job; one group is weak evidence",
        ),
    )
    return PublishedTable("About", (TableColumn("About", 20), TableColumn("Text", 100)), lines)
