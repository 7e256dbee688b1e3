"""Which candidates become texts: whole, of their kind, without repetition, and unlike each other."""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

N_WORDS = 13  # in a row, shared with the text that SAEs were trained on: then a candidate is dropped
_REPEAT_WORDS, _MAX_REPEATED = 8, 0.02  # share of a text's runs of 8 words that occur before in it
_MAX_LOOPS = 0.12  # share of a text's runs of 3 words that occur before in it
_FIRST_LINE = 6  # words that a letter's first line has at least
_LIKE_WORDS, _MAX_LIKE = 5, 0.15  # share of a text's runs of 5 words that texts chosen before have
_LINE_KINDS = frozenset({"dialogue", "instructions", "record", "question"})
_MIN_WORDS = 45
_MIN_WORDS_OF = {"code": 20, "record": 24, "question": 24}
_BAD_WORDS = re.compile(
    r"as an ai\b|language model|i'm sorry, but i|i cannot (?:assist|help|provide)|\[[^\]\d'\"]{3,}\]|"
    r"here(?:'s| is) (?:a|an|the) (?:short|example|sample|list|recipe|letter|story|conversation|python|possible)|"
    r"this (?:story|letter|conversation|dialogue|report|recipe|function) (?:is|was|uses|has|takes|will)|"
    r"main character|in this (?:story|letter)|note: this|lorem ipsum|your name|\bxxx|\*\*|_{3,}|<\||\bhttps?:|"
    r"example\.com",
    re.IGNORECASE,
)
_ABOUT_ITSELF = re.compile(
    r"ten short lines|the (?:conversation|letter) (?:ends|is (?:signed|dated|addressed))|premise:|dialogue:|"
    r"registration:|"
    r"question: q|\bq\?|(?:recipient|sender)'s name|the story begins",
    re.IGNORECASE,
)
_HARM = re.compile(  # invented reports of crimes, deaths and quarrels of peoples, and names of firms
    r"\b(?:murder|kill|dead\b|death|stab|shot\b|terror|rape|suicid|felon|arrest|guilty|convict|israel|iran|russia|islam|"
    r"muslim|jew|christian|nazi|war\b|weapon|bomb|slave|sex|tesla|google|apple inc|netflix|covid|trump|biden)",
    re.IGNORECASE,
)
_ODD_CHARACTER = re.compile(r"[^\n\t -~\u00a1-\u024f\u2010-\u2030€]")
_SENTENCE_END = re.compile(r"[.!?][\"')\u201d\u2019]?(?=\s|$)")


@dataclass(frozen=True)
class Candidate:
    """What the model wrote for one prompt. `ended`: the model ended the text, not the limit on its length."""

    number: int  # within its kind
    kind: str
    title: str
    text: str
    ended: bool


@dataclass
class Choice:
    """The chosen candidates, and how many were dropped for each reason."""

    chosen: list[Candidate] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)


def choose(
    candidates: Iterable[Candidate], trained_on: frozenset[int], read_and_dropped: frozenset[str]
) -> Choice:
    """Candidates with their ends trimmed, without those that a rule or a reader drops.

    trained_on: hashes of runs of N_WORDS words. read_and_dropped: such as "letter 17", the number of a candidate.
    """
    choice, known = Choice(), set[int]()
    for candidate in candidates:
        text = trimmed(candidate)
        runs = set(word_runs(text, _LIKE_WORDS))
        if f"{candidate.kind} {candidate.number}" in read_and_dropped:
            reason = "read, and dropped as nonsense"
        elif any(run in trained_on for run in word_runs(text, N_WORDS)):
            reason = f"{N_WORDS} words in a row of the text of training"
        elif len(runs & known) > _MAX_LIKE * len(runs):
            reason = "like a text chosen before"
        else:
            reason = fault(candidate.kind, text)
        if reason:
            choice.dropped[reason] += 1
        else:
            known |= runs
            choice.chosen.append(
                Candidate(candidate.number, candidate.kind, candidate.title, text, candidate.ended)
            )
    return choice


def trimmed(candidate: Candidate) -> str:
    """The text up to its last whole sentence, line or statement."""
    text = candidate.text.strip()
    if candidate.kind == "code":
        return _statements(text)
    if candidate.ended:
        return text
    if candidate.kind in _LINE_KINDS:
        return text.rpartition("\n")[0].strip()
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    return text[: ends[-1]] if ends else ""


def _statements(text: str) -> str:
    """The code of a fenced block up to the last line to which it can be parsed; nothing where that is no function."""
    lines = text.removeprefix("```python\n").partition("```")[0].rstrip().split("\n")
    while lines:
        code = "\n".join(lines).rstrip()
        try:
            body = ast.parse(code).body
        except (SyntaxError, ValueError):
            lines.pop()
            continue
        functions = [node for node in body if isinstance(node, ast.FunctionDef)]
        return code if functions and len(functions[0].body) > 1 else ""
    return ""


def fault(kind: str, text: str) -> str:
    """What is wrong with a text; nothing where it may stay."""
    words = text.split()
    if len(words) < _MIN_WORDS_OF.get(kind, _MIN_WORDS):
        return "too short, or not whole"
    if (
        (kind != "code" and _BAD_WORDS.search(text))
        or _ABOUT_ITSELF.search(text)
        or _ODD_CHARACTER.search(text)
    ):
        return "about itself, unfilled, or with odd characters"
    if _HARM.search(text):
        return "of crimes, deaths, peoples or firms"
    if kind == "letter" and len(text.split("\n\n", 2)[-1].strip().split("\n")[0].split()) < _FIRST_LINE:
        return "a letter that does not begin as one"
    if kind in _LINE_KINDS and text.count("\n") < 3:
        return "of another kind"
    if kind not in {"code", "record"} and repeated_share(list(word_runs(text, 3))) > _MAX_LOOPS:
        return "repeats itself"
    if repeated_share(list(word_runs(text, _REPEAT_WORDS))) > _MAX_REPEATED or _repeats_lines(kind, text):
        return "repeats itself"
    if kind == "question" and text.count("A:") < 2:
        return "of another kind"
    return ""


def _repeats_lines(kind: str, text: str) -> bool:
    """Whether lines come again: more than a line in twenty, of code one in four, where lines are short."""
    lines = [line.strip() for line in text.split("\n") if len(line.strip()) > 3]
    return repeated_share(lines) > (0.25 if kind == "code" else 0.05)


def repeated_share(items: Sequence[object]) -> float:
    """Share of items, 0 to 1, that occur before in the sequence."""
    return 1 - len(set(items)) / len(items) if items else 0.0


def word_runs(text: str, length: int) -> Iterator[int]:
    """Hashes of each run of so many words, without regard to case and punctuation."""
    words = re.findall(r"\w+", text.lower())
    for start in range(len(words) - length + 1):
        yield hash(tuple(words[start : start + length]))
