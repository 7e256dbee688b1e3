"""Task families: prompts whose targets require one behaviour to be predicted."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.adapters.interventions import ExperimentModel
from app.domain.experiments.errors import InvalidExperiment
from app.domain.tokens import Vocabulary
from app.experiments.checks import check_length
from app.experiments.natural_text import Text
from app.experiments.prompts import MarkedText, Prompts, collate, well_formed_prompts
from app.experiments.proxies import Predicate


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NOUNS = _words(
    "apartment bus cabin channel chapter class desk district door exit floor flight gate highway house lane "
    "level line locker page platform player road room route row score seat section shelf station step street "
    "suite table ticket track train unit ward"
)
FILLERS = (
    "and then we went back to",
    "but nobody had ever seen",
    "which is not far from",
    "and after a long wait we found",
    "so please remember to ask for",
    "and later that day they returned to",
)
ORDINALS: dict[str, tuple[str, ...]] = {
    "numbers": _words("one two three four five six seven eight nine ten"),
    "digits": _words("1 2 3 4 5 6 7 8 9"),
    "days": _words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday"),
    "months": _words("January February March April May June July August September October November December"),
    "letters": tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    "ordinals": _words("first second third fourth fifth sixth seventh eighth ninth tenth"),
}
_ID_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def noun_digit(
    model: ExperimentModel,
    n_prompts: int,
    seed: int,
    nouns: Sequence[str] = NOUNS,
    fillers: Sequence[str] = FILLERS,
) -> Prompts:
    """Prompts `{noun} {digit}, {filler} {noun} {digit}`; the target is the repeated digit, one token."""
    generator = np.random.default_rng(seed)
    texts: list[MarkedText] = []
    for _ in range(n_prompts):
        noun, filler = generator.choice(list(nouns)), generator.choice(list(fillers))
        digit = generator.integers(10)
        texts.append(MarkedText.parse(f"{noun} {digit}, {filler} {noun} [[{digit}]]"))
    return well_formed_prompts(model, texts, "noun-digit", max_tokens=1)


def short_urls(model: ExperimentModel, n_prompts: int, seed: int, id_length: int = 10) -> Prompts:
    """Prompts `https://t.co/{id}`; the targets are the tokens of the random id."""
    generator = np.random.default_rng(seed)
    texts: list[MarkedText] = []
    for _ in range(n_prompts):
        characters = generator.choice(list(_ID_CHARACTERS), id_length)
        texts.append(MarkedText.parse(f"https://t.co/[[{''.join(characters)}]]"))
    return well_formed_prompts(model, texts, "short-urls", max_tokens=None)


def succession(model: ExperimentModel, n_prompts: int, seed: int) -> Prompts:
    """Prompts of three items of an ordinal sequence; the target is the next item, one token."""
    generator = np.random.default_rng(seed)
    texts: list[MarkedText] = []
    names = sorted(ORDINALS)
    for _ in range(n_prompts):
        words = ORDINALS[names[generator.integers(len(names))]]
        start = int(generator.integers(len(words) - 3))
        first, second, third, last = words[start : start + 4]
        texts.append(MarkedText.parse(f"{first}, {second}, {third}, [[{last}]]"))
    return well_formed_prompts(model, texts, "succession", max_tokens=1)


def induction(model: ExperimentModel, n_prompts: int, seed: int, length: int = 20) -> Prompts:
    """Prompts of random tokens repeated once; the targets are the second copy from its second token on."""
    return _random_prompts(model, "induction", n_prompts, seed, length, same_order=True)


def duplicate_token(model: ExperimentModel, n_prompts: int, seed: int, length: int = 20) -> Prompts:
    """Prompts of random tokens, then the same tokens in an order without repeated pairs: no induction."""
    return _random_prompts(model, "duplicate-token", n_prompts, seed, length, same_order=False)


def natural_proxy(
    model: ExperimentModel, text: Text, predicate: Predicate, name: str, max_sequences: int, seed: int
) -> Prompts:
    """Corpus sequences with targets that a predicate selects; if there are more than max_sequences, a sample.

    Raises InvalidExperiment if the predicate selects nothing.
    """
    text.check(model)
    vocabulary: Vocabulary = model.tokenizer.vocabulary(model.record.d_vocab)
    targets = predicate(text.tokens, vocabulary) & text.counted
    targets[:, 0] = False
    rows = np.flatnonzero(targets.any(axis=1))
    if not len(rows):
        raise InvalidExperiment(f"the predicate {name} selects no position of the text")
    if len(rows) > max_sequences:
        rows = np.sort(np.random.default_rng(seed).choice(rows, max_sequences, replace=False))
    last = text.counted.shape[1] - text.counted[rows, ::-1].argmax(axis=1)
    return Prompts(name, text.tokens[rows], last.astype(np.int64), targets[rows])


def _random_prompts(
    model: ExperimentModel, name: str, n_prompts: int, seed: int, length: int, same_order: bool
) -> Prompts:
    check_length(model, 1 + 2 * length)
    special = model.tokenizer.special_token_ids | {model.record.bos_token_id}
    ordinary = np.array([token for token in range(model.record.d_vocab) if token not in special])
    if not 4 <= length <= len(ordinary):
        raise InvalidExperiment(f"{name} needs 4 to {len(ordinary)} random tokens, not {length}")
    generator = np.random.default_rng(seed)
    rows: list[tuple[list[int], range]] = []
    for _ in range(n_prompts):
        once = generator.choice(ordinary, length, replace=False)
        again = once if same_order else once[_without_repeated_pairs(length, generator)]
        ids = [model.record.bos_token_id, *once.tolist(), *again.tolist()]
        rows.append((ids, range(length + 2, 2 * length + 1)))
    return collate(model, name, rows, 0)


def _without_repeated_pairs(length: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """A permutation of 0 .. length-1 in which i+1 (modulo length) never follows i."""
    order = generator.permutation(length)
    for _ in range(1000):
        follows = np.flatnonzero((order[1:] - order[:-1]) % length == 1) + 1
        if not len(follows):
            return order
        # Moving a token elsewhere breaks its pair; a few rounds are enough.
        other = generator.integers(length)
        order[[follows[0], other]] = order[[other, follows[0]]]
    raise RuntimeError(f"no order of {length} tokens without a repeated pair was found")
