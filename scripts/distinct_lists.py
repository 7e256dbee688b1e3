"""Walk all head pages of a store and look for a list with two examples that differ in fewer than three shown tokens.

Each head's page by both rankings with every row open, and all groups of its attention; with --all-groups every group
of every listed feature. Ends with 1 if there is such a list, or a feature row without examples.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

from app.domain.records import RANKINGS
from app.domain.refs import FeatureRef, HeadRef
from app.services.examples.models import TextWindow
from app.services.features.page import feature_page
from app.services.heads.attention import AttentionQuestion, attention_page
from app.services.heads.page import HeadQuestion, head_page
from app.services.reading.context import AtlasContext
from app.store.atlas.reads import get_live_run, list_atlases
from app.store.database.engine import open_store, read_session

MIN_DIFFERENT = 3


def shown(window: TextWindow) -> dict[int, int]:
    """The tokens of a window by their place: 0 is the last before the anchor."""
    before = {-i: cell.token_id for i, cell in enumerate(reversed(window.before))}
    return before | {i + 1: cell.token_id for i, cell in enumerate(window.after)}


def n_different(one: TextWindow, other: TextWindow) -> int:
    """In how many places both windows show a token, and not the same."""
    mine, theirs = shown(one), shown(other)
    return sum(mine[place] != theirs[place] for place in mine.keys() & theirs.keys())


def are_alike(windows: Sequence[TextWindow]) -> bool:
    """Whether any two of the windows differ in fewer than three tokens."""
    return any(n_different(one, other) < MIN_DIFFERENT for one, other in combinations(windows, 2))


def lists_of(
    context: AtlasContext, ref: HeadRef, k: int, all_groups: bool
) -> Iterator[tuple[str, list[TextWindow]]]:
    """Every list of examples of a head's pages: its name, and the text around each example."""
    features: set[FeatureRef] = set()
    for rank in RANKINGS:
        for row in head_page(context, HeadQuestion(ref, rank, k, open_all=True)).features:
            features.add(row.feature)
            pairs = row.opened.pairs if row.opened else ()
            yield f"{ref} {row.feature} top", [pair.fires for pair in pairs]
    for feature in sorted(features) if all_groups else ():
        for part in feature_page(context, feature, ref).groups:
            if part.pairs:
                yield f"{ref} {feature} {part.group.name}", [pair.fires for pair in part.pairs]
    evidence = attention_page(context, AttentionQuestion(ref)).evidence if context.has_attention else None
    for place, group in enumerate(evidence.groups if evidence else ()):
        page = attention_page(context, AttentionQuestion(ref, group=place))
        if page.evidence and page.evidence.pairs:
            yield f"{ref} attention {group.name}", [pair.attends for pair in page.evidence.pairs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path, help="a SQLite store with one published atlas")
    parser.add_argument("-k", type=int, default=10, help="features of each list")
    parser.add_argument("--all-groups", action="store_true", help="intervals of features, too")
    options = parser.parse_args()
    engine = open_store(str(options.store), must_exist=True)
    n_lists, wrong = 0, list[str]()
    with read_session(engine) as session:
        context = AtlasContext(session, get_live_run(session, list_atlases(session)[0].slug))
        for head in context.heads:
            for name, windows in lists_of(context, head.ref, options.k, options.all_groups):
                n_lists += 1
                if not windows or are_alike(windows):
                    wrong.append(name)
                    sys.stdout.write(f"{name}: {'two are alike' if windows else 'no examples'}\n")
    n_heads = len(context.heads)
    sys.stdout.write(
        f"{len(wrong)} of {n_lists} lists are empty, or have two alike, on pages of {n_heads} heads\n"
    )
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
