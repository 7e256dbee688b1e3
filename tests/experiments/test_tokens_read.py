"""How many tokens a model reads in each experiment, against what its kind says beforehand."""

from collections.abc import Callable

import numpy as np
import pytest
from torch import Tensor

from app.domain.experiments.ablation import N_PROMPTS, POLYSEMANTICITY, AblationParameters
from app.domain.experiments.feature_check import FEATURE_CHECK, FeatureCheckParameters
from app.domain.experiments.intervals import Resampling
from app.domain.experiments.kind import TextSizes
from app.domain.experiments.known_heads import KNOWN_HEADS, KnownHeadParameters
from app.domain.experiments.long_prefix import LONG_PREFIX_INDUCTION, LongPrefixParameters
from app.domain.experiments.scan import UNIVERSALITY, ScanParameters
from app.experiments.head_ablation import head_ablation
from app.experiments.known_heads import known_heads
from app.experiments.long_prefix_induction import long_prefix_induction
from app.experiments.natural_text import Text
from app.experiments.tasks import induction
from app.experiments.universality import universality
from tests.support.hand_built_model import (
    BOS,
    LONG_PREFIX,
    N_HEADS,
    STANDARD,
    HandBuiltModel,
    hand_built_model,
    numbered_words,
    repeating_text,
)

PASSES = (
    "activations",
    "read_patterns",
    "patterns",
    "run_with_z",
    "residual_before",
    "residual_decomposition",
)
RESAMPLING = Resampling(50)


class Counter:
    """Counts the tokens that are sent to a model, once however its methods call each other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.n_tokens, self._inside = 0, False
        for name in PASSES:
            monkeypatch.setattr(HandBuiltModel, name, self._counted(getattr(HandBuiltModel, name)))

    def _counted(self, method: Callable[..., object]) -> Callable[..., object]:
        def counted(model: HandBuiltModel, tokens: Tensor, *rest: object, **more: object) -> object:
            if self._inside:
                return method(model, tokens, *rest, **more)
            self.n_tokens += tokens.numel()
            self._inside = True
            try:
                return method(model, tokens, *rest, **more)
            finally:
                self._inside = False

        return counted


@pytest.fixture
def model() -> HandBuiltModel:
    return hand_built_model([*"ABCDEFGHIJ", *numbered_words(40)])


@pytest.fixture
def text(model: HandBuiltModel) -> Text:
    tokens = repeating_text(model)
    return Text(tokens, tokens != BOS)


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Counter:
    return Counter(monkeypatch)


def sizes(text: Text) -> TextSizes:
    return TextSizes(*text.tokens.shape, N_HEADS)


def test_the_scan_of_all_heads(model: HandBuiltModel, text: Text, counter: Counter) -> None:
    parameters = ScanParameters(3, 8, 16, resampling=RESAMPLING)
    universality(model, parameters)
    assert counter.n_tokens == UNIVERSALITY.n_tokens(parameters, sizes(text)) == 8 * 4 * 16


def test_the_detectors_of_known_heads(model: HandBuiltModel, text: Text, counter: Counter) -> None:
    parameters = KnownHeadParameters(6, 16)
    known_heads(model, text, parameters)
    expected = KNOWN_HEADS.n_tokens(parameters, sizes(text))
    # The items of ordinal sequences are read besides: a few tokens of each.
    assert expected <= counter.n_tokens < expected + 300


def test_long_prefixes(model: HandBuiltModel, text: Text, counter: Counter) -> None:
    parameters = LongPrefixParameters(
        max_prefix=4, n_examples=12, n_logit_examples=6, length=24, n_shuffles=2, resampling=RESAMPLING
    )
    long_prefix_induction(model, [STANDARD, LONG_PREFIX], text, parameters)
    random = (12 + 6) * 5 * 24 + text.tokens.size
    most = LONG_PREFIX_INDUCTION.n_tokens(parameters, sizes(text))
    # Examples to corrupt are as many as there are, and what lies past them is not read.
    assert random < counter.n_tokens <= most == random + 100 * 4 * text.tokens.shape[1]


def test_ablation_on_the_task_of_one_role(model: HandBuiltModel, text: Text, counter: Counter) -> None:
    parameters = AblationParameters(resampling=RESAMPLING)
    head_ablation(model, 1, [induction(model, N_PROMPTS, 0)], parameters)
    assert counter.n_tokens == POLYSEMANTICITY.n_tokens(parameters, sizes(text))


def test_a_feature_reads_the_text_once(text: Text) -> None:
    assert FEATURE_CHECK.n_tokens(FeatureCheckParameters(), sizes(text)) == np.prod(text.tokens.shape)
