"""Which heads' top features show which behaviour: the table of docs/smollm2.md, from a store.

    python benchmarks/head_evidence.py head-atlas.sqlite smollm2-135m

For every head with an SAE: its scores, and how many of its top ten features show induction (or reading the previous
or the same token) through this head in at least half of their strongest examples.
"""

import sys
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.domain.records import HeadRecord, Ranking
from app.store.atlas.features import get_features
from app.store.atlas.reads import LiveRun, get_heads, get_live_run, get_ranking
from app.store.database.engine import open_store, read_session

KINDS = ("induction", "induction_fuzzy", "previous_token", "same_token", "bos")
INDUCTION = 0.5  # the score from which a head counts as an induction head in the pooled lines
TOP = 10


@dataclass(frozen=True)
class HeadExampleCounts:
    """Of the head's top features under one ranking, how many show each kind in half of their examples or more."""

    head: HeadRecord
    ranking: Ranking
    n_features: int
    showing: dict[str, int]
    n_examples: int
    examples: dict[str, int]  # of all top examples of these features


def head_evidence(session: Session, run: LiveRun, head: HeadRecord, ranking: Ranking) -> HeadExampleCounts:
    """One row of the table."""
    refs = [place.ref for place in get_ranking(session, run, head.ref, ranking, TOP).features]
    showing: dict[str, int] = dict.fromkeys(KINDS, 0)
    examples: dict[str, int] = dict.fromkeys(KINDS, 0)
    n_examples = 0
    for feature in get_features(session, run, refs, with_examples=False):
        n_examples += feature.evidence.n_examples
        for kind in KINDS:
            count = int(feature.evidence.counts[kind][head.ref.head])
            examples[kind] += count
            showing[kind] += 2 * count >= feature.evidence.n_examples > 0
    return HeadExampleCounts(head, ranking, len(refs), showing, n_examples, examples)


def rows(session: Session, run: LiveRun) -> list[HeadExampleCounts]:
    """Every head that has an SAE, under both rankings, by induction score."""
    heads = [head for head in get_heads(session, run) if head.concentration is not None]
    heads.sort(key=lambda head: -head.scores["induction"])
    return [
        head_evidence(session, run, head, ranking) for head in heads for ranking in ("decoder_weight", "fve")
    ]


def pooled(found: list[HeadExampleCounts], kind: str) -> list[str]:
    """One line a ranking for the induction heads and for all others together."""
    lines: list[str] = []
    for ranking in ("decoder_weight", "fve"):
        for name, wanted in (("induction heads", True), ("other heads", False)):
            part = [
                row
                for row in found
                if row.ranking == ranking and (row.head.scores["induction"] >= INDUCTION) == wanted
            ]
            showing, of = sum(row.showing[kind] for row in part), sum(row.n_features for row in part)
            share = sum(row.examples[kind] for row in part) / max(sum(row.n_examples for row in part), 1)
            most = max((row.showing[kind] for row in part), default=0)
            lines.append(
                f"{kind}, {ranking}, {len(part)} {name}: {showing} of {of} features (at most {most} per head), "
                f"{share:.3f} of their examples"
            )
    return lines


def main() -> None:
    """Print the table as Markdown, then the pooled lines."""
    engine = open_store(sys.argv[1], must_exist=True)
    with read_session(engine) as session:
        run = get_live_run(session, sys.argv[2])
        found = rows(session, run)
    print("| head | induction | previous | duplicate | ranking | " + " | ".join(KINDS) + " | of |")
    print("|---|---|---|---|---|" + "---|" * (len(KINDS) + 1))
    for row in found:
        scores = row.head.scores
        values = [f"{scores[name]:.2f}" for name in ("induction", "previous_token", "duplicate_token")]
        counts = [str(row.showing[kind]) for kind in KINDS]
        print(
            "| " + " | ".join([str(row.head.ref), *values, row.ranking, *counts, str(row.n_features)]) + " |"
        )
    for kind in ("induction", "induction_fuzzy"):
        print("\n" + "\n".join(pooled(found, kind)))


if __name__ == "__main__":
    main()
