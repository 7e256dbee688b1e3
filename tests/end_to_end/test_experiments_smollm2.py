"""Small experiments on the real model on one thread: the induction heads of layer 17, and what ablating them costs."""

from collections.abc import Iterator

import pytest
import torch

from app.adapters.interventions import InterventionModel
from app.adapters.model_sources import EMBEDDED, find_model
from app.adapters.transformer_lens_model import load_model
from app.domain.refs import HeadRef
from app.experiments.head_ablation import AblationParameters, head_ablation
from app.experiments.long_prefix_induction import LongPrefixParameters, long_prefix_induction
from app.experiments.tasks import induction
from app.settings import Settings

pytestmark = pytest.mark.slow
INDUCTION = [HeadRef(17, head) for head in (3, 4, 5)]
IDLE = HeadRef(17, 0)


@pytest.fixture(scope="module")
def model() -> Iterator[InterventionModel]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    source = find_model(EMBEDDED, Settings().cache_dir)
    yield InterventionModel.of(load_model(source, "raw"))
    torch.set_num_threads(threads)


def test_ablating_an_induction_head_hurts_induction_most(model: InterventionModel) -> None:
    prompts = induction(model, 8, seed=1, length=10)
    result = head_ablation(model, 17, [prompts], AblationParameters(modes=("zero",), seed=1))
    [task] = result.tasks
    changes = {head.head: head.change.mean for head in task.modes[0].heads}
    worst = max(changes, key=lambda head: changes[head])
    assert worst in INDUCTION
    assert changes[worst] > 2 * max(value for head, value in changes.items() if head not in INDUCTION)


def test_the_induction_heads_need_one_matching_token_on_random_tokens(model: InterventionModel) -> None:
    parameters = LongPrefixParameters(
        max_prefix=3, n_examples=12, n_logit_examples=2, length=24, n_shuffles=5
    )
    result = long_prefix_induction(model, [*INDUCTION, IDLE], None, parameters)
    *found, idle = result.heads
    assert [head.verdict.kind for head in found] == ["standard"] * 3
    assert all("random tokens" in head.verdict.reason for head in found)
    assert idle.verdict.kind == "neither"
    assert result.worst_logit_error < 1e-4
    assert all(head.control == 0 for head in found)
