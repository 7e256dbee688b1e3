"""Check the texts of `demo-texts`, and print the table of their README.

From the root of a checkout: .venv/bin/python scripts/demo_texts.py [--skip-training-text]. It ends with 1 if a title
comes twice or is too long, a text is too short or too long, two texts share eight words in a row (code apart: imports
and idioms do), or a text shares thirteen with installed documentation, on which the SAEs that ship were trained.
"""

import argparse
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from app.adapters.demo_texts import FOLDER, DemoTexts, KindText

MAX_BYTES = 300_000
TITLE_WORDS, TITLE_CHARACTERS = range(1, 9), 50
TEXT_TOKENS = range(40, 701)
PHRASE, TRAINING_RUN = 8, 13  # words in a row


def word_runs(text: str, length: int) -> Iterator[tuple[str, ...]]:
    """Each run of so many words, without regard to case and punctuation."""
    words = re.findall(r"\w+", text.lower())
    return (tuple(words[start : start + length]) for start in range(len(words) - length + 1))


def title_faults(texts: Sequence[KindText]) -> Iterator[str]:
    """Titles that name two texts, or are too long for a list."""
    seen: set[str] = set()
    for each in texts:
        if each.name in seen:
            yield f"{each.name}: the title names two texts"
        seen.add(each.name)
        if len(each.title.split()) not in TITLE_WORDS or len(each.title) > TITLE_CHARACTERS:
            yield f"{each.name}: the title has more than {TITLE_WORDS[-1]} words or {TITLE_CHARACTERS} characters"


def length_faults(texts: Sequence[KindText], n_tokens: Callable[[str], int]) -> Iterator[str]:
    """Texts that are shorter or longer than the others may be."""
    for each in texts:
        if (n := n_tokens(each.text)) not in TEXT_TOKENS:
            yield f"{each.name}: {n} tokens, outside {TEXT_TOKENS[0]} to {TEXT_TOKENS[-1]}"


def shared_phrases(texts: Sequence[KindText]) -> Iterator[str]:
    """Phrases that two texts share, each once, where neither of them is code."""
    owners: dict[tuple[str, ...], str] = {}
    for each in texts:
        if each.kind == "code":
            continue
        for run in dict.fromkeys(word_runs(each.text, PHRASE)):
            if (owner := owners.setdefault(run, each.name)) != each.name:
                yield f"{each.name}: as {owner}: {' '.join(run)}"


def training_faults(texts: Sequence[KindText], documents: Iterable[str]) -> Iterator[str]:
    """Runs of words that a text shares with these documents."""
    owners = {hash(run): each.name for each in texts for run in word_runs(each.text, TRAINING_RUN)}
    for document in documents:
        for run in word_runs(document, TRAINING_RUN):
            if owner := owners.get(hash(run)):
                yield f"{owner}: as installed documentation: {' '.join(run)}"


def table(texts: Sequence[KindText], n_tokens: Callable[[str], int]) -> str:
    """Texts and tokens of each kind, in Markdown."""
    counts: dict[str, list[int]] = defaultdict(list)
    for each in sorted(texts, key=lambda each: each.kind):
        counts[each.kind].append(n_tokens(each.text))
    counts["all"] = [n for of_kind in counts.values() for n in of_kind]
    rows = [f"| {kind} | {len(each)} | {sum(each):,} |" for kind, each in counts.items()]
    return "\n".join(["| kind | texts | tokens |", "|---|---|---|", *rows])


def main() -> None:
    """Print the table, then what is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--skip-training-text", action="store_true", help="which takes a minute to read")
    options = parser.parse_args()
    texts, n_tokens = DemoTexts().mixed(), _count_of_smollm2()
    faults = [*title_faults(texts), *length_faults(texts, n_tokens), *shared_phrases(texts)]
    if not options.skip_training_text:
        from app.adapters.text_sources import InstalledDocs, PythonDocs

        for source in (PythonDocs(), InstalledDocs()):
            faults += training_faults(texts, source.documents())
    n_bytes = sum(path.stat().st_size for path in FOLDER.glob("*.txt"))
    if n_bytes > MAX_BYTES:
        faults.append(f"{n_bytes:,} bytes, more than {MAX_BYTES:,}")
    sys.stdout.write("\n".join([table(texts, n_tokens), f"{n_bytes:,} bytes", *faults, ""]))
    sys.exit(bool(faults))


def _count_of_smollm2() -> Callable[[str], int]:
    from transformers import AutoTokenizer

    from app.adapters.model_sources import unpack_embedded
    from app.settings import Settings

    tokenizer = AutoTokenizer.from_pretrained(str(unpack_embedded(Settings().cache_dir)))
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False))


if __name__ == "__main__":
    main()
