"""A head's type in words, the same on pages, in their scripts and in files."""

from collections.abc import Mapping

from app.domain.annotations.head_types import HEAD_TYPE_NAMES, HeadType

TYPE_WORDS: Mapping[str, str] = {
    "no_type": "no type yet",
    "no_type_of_groups": "no type yet; groups so far: {n}",
    "so_far_one": "so far one group, {open} open",
    "so_far": "so far {n} groups, {open} open",
}


def type_in_words(head_type: HeadType | None, n_groups: int, n_open: int) -> str:
    """The name of the type; while features are open, how far the groups have come; that there is none yet.

    Groups of examples give no type: there is none until the annotator chooses it.

    n_open: features without a label; 0 where an annotator has chosen the type.
    """
    if head_type is None:
        return TYPE_WORDS["no_type_of_groups" if n_groups else "no_type"].format(n=n_groups)
    if n_open:
        return TYPE_WORDS["so_far_one" if n_groups == 1 else "so_far"].format(n=n_groups, open=n_open)
    return HEAD_TYPE_NAMES[head_type]
