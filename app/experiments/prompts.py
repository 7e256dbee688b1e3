"""Prompts with marked targets: [[...]] in a text marks what the model is to predict."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from app.adapters.interventions import ExperimentModel
from app.domain.experiments.errors import InvalidExperiment
from app.experiments.checks import check_length

_MARK = re.compile(r"\[\[(.+?)\]\]", re.DOTALL)


@dataclass(frozen=True)
class MarkedText:
    """A text and the character spans of its targets."""

    text: str
    spans: tuple[tuple[int, int], ...]

    @classmethod
    def parse(cls, marked: str) -> "MarkedText":
        """Parse a text with [[...]] around each target. Raises InvalidExperiment if nothing is marked."""
        text, spans, end = "", [], 0
        for match in _MARK.finditer(marked):
            text += marked[end : match.start()]
            spans.append((len(text), len(text) + len(match[1])))
            text, end = text + match[1], match.end()
        if not spans:
            raise InvalidExperiment(f"the prompt {marked[:60]!r} marks no target with [[...]]")
        return cls(text + marked[end:], tuple(spans))


@dataclass(frozen=True, eq=False)
class Prompts:
    """Tokenised prompts that begin with BOS. targets: [prompt pos], the tokens whose loss is measured.

    Shorter prompts are padded on the right, where no earlier position can attend. n_refused: number of
    prompts that were left out because a target is not well-formed in this tokenizer.
    """

    name: str
    tokens: NDArray[np.int64]  # [prompt pos]
    lengths: NDArray[np.int64]
    targets: NDArray[np.bool_]
    n_refused: int = 0

    def __post_init__(self) -> None:
        if self.tokens.shape != self.targets.shape or self.targets[:, :1].any():
            raise ValueError(f"targets of shape {self.targets.shape} for tokens of shape {self.tokens.shape}")
        if not self.targets.any(axis=1).all():
            raise ValueError(f"a prompt of {self.name} has no target")

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def inner(self) -> NDArray[np.bool_]:
        """Positions that are neither BOS nor padding: [prompt pos]."""
        place = np.arange(self.tokens.shape[1])
        return (place > 0) & (place < self.lengths[:, None])


def parse_jsonl(lines: Iterable[str]) -> list[MarkedText]:
    """The prompts of a JSONL file.

    A line is {"text": "... [[target]] ..."} or {"text": "...", "spans": [[start, end], ...]}. Raises
    InvalidExperiment with the number of the line.
    """
    texts: list[MarkedText] = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                texts.append(_parse_line(json.loads(line)))
            except (InvalidExperiment, ValueError) as error:
                raise InvalidExperiment(f"line {number}: {error}") from error
    if not texts:
        raise InvalidExperiment("there are no prompts")
    return texts


def _parse_line(entry: Any) -> MarkedText:
    if not isinstance(entry, dict) or not isinstance(entry.get("text"), str):
        raise InvalidExperiment('a prompt is an object with a "text"')
    if "spans" not in entry:
        return MarkedText.parse(entry["text"])
    text, spans = entry["text"], entry["spans"]
    pairs = _pairs(spans)
    if not pairs or not all(0 <= start < end <= len(text) for start, end in pairs):
        raise InvalidExperiment(f"spans {spans!r} do not lie in a text of {len(text)} characters")
    return MarkedText(text, pairs)


def _pairs(spans: Any) -> tuple[tuple[int, int], ...]:
    """The pairs of whole numbers in JSON. Raises InvalidExperiment for true, text, or a number that is not whole."""
    pairs: list[tuple[int, int]] = []
    for pair in cast(list[Any], spans) if isinstance(spans, list) else [None]:
        match pair:
            case [int(start), int(end)] if bool not in (type(start), type(end)):
                pairs.append((start, end))
            case _:
                raise InvalidExperiment(f"spans {spans!r} are not pairs of whole numbers")
    return tuple(pairs)


def given_prompts(model: ExperimentModel, texts: Sequence[MarkedText], name: str = "prompts") -> Prompts:
    """All prompts, tokenised. Raises InvalidExperiment for a target that is not exactly one token."""
    rows: list[tuple[list[int], list[int]]] = []
    for marked in texts:
        ids, targets = encode_marked(model, marked)
        for (start, end), tokens in zip(marked.spans, targets, strict=True):
            if len(tokens) != 1:
                what = f"{len(tokens)} tokens" if tokens else "cut across tokens"
                raise InvalidExperiment(
                    f"the target {marked.text[start:end]!r} of {marked.text[:60]!r} is not one token of "
                    f"{model.record.name} but {what}"
                )
        rows.append((ids, [token for tokens in targets for token in tokens]))
    return collate(model, name, rows, 0)


def well_formed_prompts(
    model: ExperimentModel, texts: Sequence[MarkedText], name: str, max_tokens: int | None
) -> Prompts:
    """The prompts whose targets all begin and end at token boundaries and have at most max_tokens tokens.

    Raises InvalidExperiment if no prompt is left.
    """
    rows: list[tuple[list[int], list[int]]] = []
    for marked in texts:
        ids, targets = encode_marked(model, marked)
        if all(tokens and (max_tokens is None or len(tokens) <= max_tokens) for tokens in targets):
            rows.append((ids, [token for tokens in targets for token in tokens]))
    if not rows:
        raise InvalidExperiment(
            f"no prompt of {name} has a well-formed target in the tokens of {model.record.name}"
        )
    return collate(model, name, rows, len(texts) - len(rows))


def encode_marked(model: ExperimentModel, marked: MarkedText) -> tuple[list[int], list[list[int]]]:
    """Token ids with BOS, and for each target the positions of its tokens, none if it cuts across a token.

    The first token of a target may include a leading space.
    """
    ids = model.tokenizer.encode(marked.text)
    data = [model.tokenizer.token_bytes(token_id) for token_id in ids]
    whole = marked.text.encode()
    shift = 1 if b"".join(data) == b" " + whole else 0  # some tokenizers put a space before a text
    if b"".join(data)[shift:] != whole:
        raise InvalidExperiment(
            f"the tokens of {marked.text[:60]!r} do not decode to the text, so its targets cannot be located"
        )
    ends = [end - shift for end in accumulate(map(len, data))]
    starts = [-shift, *ends[:-1]]
    targets: list[list[int]] = []
    for first, last in marked.spans:
        start, end = len(marked.text[:first].encode()), len(marked.text[:last].encode())
        inside = [i for i in range(len(ids)) if ends[i] > start and starts[i] < end]
        opens = bool(inside) and _opens(whole, starts[inside[0]], start)
        fits = opens and ends[inside[-1]] == end
        targets.append([1 + i for i in inside] if fits else [])
    return [model.record.bos_token_id, *ids], targets


def _opens(whole: bytes, token_start: int, start: int) -> bool:
    with_space = token_start == start - 1 and (start == 0 or whole[start - 1 : start] == b" ")
    return token_start == start or with_space


def collate(
    model: ExperimentModel, name: str, rows: Sequence[tuple[Sequence[int], Sequence[int]]], n_refused: int
) -> Prompts:
    """Prompts from token ids and target positions, padded to one length.

    Raises InvalidExperiment if one is too long.
    """
    lengths = np.array([len(ids) for ids, _ in rows], np.int64)
    check_length(model, int(lengths.max()))
    shape = (len(rows), int(lengths.max()))
    tokens = np.full(shape, model.tokenizer.separator_token_id, np.int64)
    targets = np.zeros(shape, np.bool_)
    for row, (ids, positions) in enumerate(rows):
        tokens[row, : len(ids)] = ids
        targets[row, list(positions)] = True
    return Prompts(name, tokens, lengths, targets, n_refused)
