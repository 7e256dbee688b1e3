"""Ablation of heads whose behaviour is known: who stands out, and by how much."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from app.adapters.interventions import ZEdit
from app.domain.experiments.ablation import Mode, TaskResult
from app.domain.experiments.errors import InvalidExperiment
from app.domain.experiments.intervals import Interval, Resampling
from app.domain.refs import HeadRef
from app.experiments import tasks
from app.experiments.ablation import LayerZ, ablated_losses, clean_losses
from app.experiments.head_ablation import AblationParameters, flag, head_ablation
from app.experiments.natural_text import Text
from app.experiments.polysemanticity import polysemanticity, role_tasks
from app.experiments.progress import Batching
from app.experiments.prompts import Prompts
from app.experiments.proxies import by_induction
from tests.support.hand_built_model import (
    BOS,
    LONG_PREFIX,
    PREVIOUS,
    STANDARD,
    HandBuiltModel,
    hand_built_model,
    random_model,
    repeating_text,
)

SMALL = AblationParameters(resampling=Resampling(200))
DIGITS = [str(digit) for digit in range(10)]


@pytest.fixture(scope="module")
def model() -> HandBuiltModel:
    return hand_built_model()


def outstanding(task: TaskResult, mode: Mode) -> tuple[HeadRef, ...]:
    """The heads that stand out under one kind of ablation."""
    [heads] = [result.heads for result in task.modes if result.mode == mode]
    return tuple(head.head for head in heads if head.stands_out)


def test_the_heads_that_carry_induction_stand_out(model: HandBuiltModel) -> None:
    prompts = tasks.induction(model, 12, seed=0, length=12)
    result = head_ablation(model, 1, [prompts], SMALL).tasks[0]
    for mode in ("zero", "mean", "resample"):
        assert outstanding(result, mode)[:1] == (STANDARD,)
        assert set(outstanding(result, mode)) <= {STANDARD, LONG_PREFIX}
    assert result.n_targets == 12 * 11
    assert result.clean_loss.mean < 1
    assert PREVIOUS in outstanding(head_ablation(model, 0, [prompts], SMALL).tasks[0], "zero")


def test_a_task_that_a_head_does_not_do_is_not_hurt(model: HandBuiltModel) -> None:
    """In another order no token follows its old neighbour, so induction heads can only mislead."""
    prompts = tasks.duplicate_token(model, 12, seed=0, length=12)
    result = head_ablation(model, 1, [prompts], SMALL).tasks[0]
    assert STANDARD not in outstanding(result, "zero")
    assert LONG_PREFIX not in outstanding(result, "zero")


def test_no_head_of_a_random_model_carries_a_task() -> None:
    model = random_model()
    made = [tasks.induction(model, 24, 0, 12), tasks.duplicate_token(model, 24, 0, 12)]
    for layer in (0, 1):
        for task in head_ablation(model, layer, made, SMALL).tasks:
            assert [outstanding(task, mode) for mode in ("zero", "mean", "resample")] == [()] * 3


def test_losses_are_those_of_a_slow_loop() -> None:
    model = random_model(2)
    prompts = _uneven(model)
    head = HeadRef(1, 2)
    losses = clean_losses(model, prompts, Batching(2))
    mean_z = _mean_z(model, prompts, head)
    z = LayerZ(model, prompts, 1, Batching(2))
    zero = ablated_losses(model, prompts, z.edits(2, "zero", 0, 1), "", Batching(2))
    mean = ablated_losses(model, prompts, z.edits(2, "mean", 0, 1), "", Batching(2))
    for row in range(len(prompts)):
        length = int(prompts.lengths[row])
        tokens = torch.from_numpy(prompts.tokens[row : row + 1, :length])
        inner = torch.arange(length)[None] > 0
        edits = {"clean": [], "zero": [ZEdit(head)], "mean": [ZEdit(head, mean_z[None, None], inner)]}
        for name, found in (("clean", losses), ("zero", zero), ("mean", mean)):
            each = F.cross_entropy(
                model.run_with_z(tokens, edits[name])[0, :-1], tokens[0, 1:], reduction="none"
            )
            wanted = each[torch.from_numpy(prompts.targets[row, 1:length])].mean()
            assert found[row] == pytest.approx(float(wanted), abs=1e-5)
    assert abs(zero - losses).min() > 1e-4
    assert abs(mean - zero).min() > 1e-4


def test_resampling_takes_z_of_another_prompt_and_leaves_bos_alone() -> None:
    model = random_model(2)
    prompts = _uneven(model)
    z = model.activations(torch.from_numpy(prompts.tokens), [1])[1].z[:, :, 3]
    for edit in LayerZ(model, prompts, 1, Batching(3)).edits(3, "resample", 0, 4):
        part = edit.rows(slice(0, len(prompts)))
        for row in range(len(prompts)):
            donors = [
                donor
                for donor in range(len(prompts))
                if torch.allclose(part.values[row, 1:6], z[donor, 1:6], atol=1e-6)
            ]
            assert len(donors) == 1
            assert row not in donors
            last = int(prompts.lengths[donors[0]]) - 1
            torch.testing.assert_close(part.values[row, -1], z[donors[0], last])
        assert not part.positions[:, 0].any()
        assert (part.positions.numpy() == prompts.inner).all()


def test_repeats_exactly_and_does_not_depend_on_the_batch_size(model: HandBuiltModel) -> None:
    prompts = [tasks.induction(model, 7, 3, 8)]
    first = head_ablation(model, 1, prompts, SMALL)
    assert head_ablation(model, 1, prompts, SMALL) == first
    other = head_ablation(model, 1, prompts, SMALL, batching=Batching(3))
    for ours, theirs in zip(first.tasks[0].modes, other.tasks[0].modes, strict=True):
        assert [h.stands_out for h in ours.heads] == [h.stands_out for h in theirs.heads]
        for a, b in zip(ours.heads, theirs.heads, strict=True):
            assert (a.change.mean, a.change.lower) == pytest.approx((b.change.mean, b.change.lower), abs=1e-5)


def test_a_head_stands_out_only_past_every_bar() -> None:
    def flags(*changes: tuple[float, float]) -> list[bool]:
        given = {HeadRef(0, i): Interval(mean, lower, mean, 9) for i, (mean, lower) in enumerate(changes)}
        return [head.stands_out for head in flag("zero", given, SMALL).heads]

    quiet = [(0.0, -0.1), (0.01, 0.0), (-0.01, -0.1), (0.02, 0.0)]
    assert flags(*quiet, (0.5, 0.4)) == [False] * 4 + [True]
    assert flags(*quiet, (0.5, -0.1)) == [False] * 5
    assert flags(*quiet, (0.049, 0.04)) == [False] * 5
    loud = [(0.4, 0.3), (0.1, 0.05), (0.7, 0.6), (0.3, 0.2)]
    assert flags(*loud, (0.5, 0.4)) == [False] * 5


def test_a_natural_proxy_measures_only_selected_positions(model: HandBuiltModel) -> None:
    tokens = repeating_text(model, 10)
    counted = tokens != BOS
    counted[:, 28:] = False
    prompts = tasks.natural_proxy(model, Text(tokens, counted), by_induction(1), "induction", 4, 0)
    assert prompts.tokens.shape[0] == 4
    assert [np.flatnonzero(row).tolist() for row in prompts.targets] == [[25]] * 4
    assert prompts.lengths.tolist() == [28] * 4
    assert STANDARD in outstanding(head_ablation(model, 1, [prompts], SMALL).tasks[0], "zero")
    with pytest.raises(InvalidExperiment, match="selects no position"):
        tasks.natural_proxy(model, Text(tokens, counted), by_induction(9), "none", 4, 0)


def test_requests_that_cannot_be_run_are_refused(model: HandBuiltModel) -> None:
    prompts = tasks.induction(model, 1, 0, 8)
    with pytest.raises(InvalidExperiment, match="one prompt"):
        head_ablation(model, 1, [prompts], SMALL)
    with pytest.raises(InvalidExperiment, match="no head L7H0"):
        head_ablation(model, 7, [prompts], SMALL)
    with pytest.raises(InvalidExperiment, match="no tasks"):
        head_ablation(model, 1, [], SMALL)
    with pytest.raises(InvalidExperiment, match="not nothing"):
        replace(SMALL, modes=("nothing",))
    with pytest.raises(InvalidExperiment, match="well-formed target"):
        tasks.noun_digit(model_without_digits(), 3, 0, nouns=("a",), fillers=("a",))


def model_without_digits() -> HandBuiltModel:
    """Its digits come only with a letter before them."""
    return hand_built_model(
        ["a", " a", ",", *(f" a {digit}" for digit in DIGITS), *(f"a {d}" for d in DIGITS)], 24
    )


def test_each_role_of_a_head_is_tested_on_its_own_task(model: HandBuiltModel) -> None:
    tokens = repeating_text(model, 12)
    own = tasks.natural_proxy(model, Text(tokens, tokens != BOS), by_induction(1), "text", 12, 0)
    roles = ["induction", "duplicate token", "text induction", "daydreaming", "induction"]
    made = role_tasks(model, roles, 8, 0) | {"text induction": own}
    result = polysemanticity(model, STANDARD, roles, made, SMALL)
    assert [role.role for role in result.roles] == ["induction", "duplicate token", "text induction"]
    assert [role.hurt for role in result.roles] == [True, False, True]
    assert result.untested == ("daydreaming",)
    assert result.n_confirmed == 2
    with pytest.raises(InvalidExperiment, match="no role of L1H0 has a task"):
        polysemanticity(model, STANDARD, ["daydreaming"], made)


def _uneven(model: HandBuiltModel) -> Prompts:
    generator = np.random.default_rng(5)
    lengths = np.array([6, 9, 12, 7, 12])
    tokens = generator.integers(1, model.record.d_vocab, (5, 12))
    tokens[:, 0] = BOS
    tokens[np.arange(12) >= lengths[:, None]] = BOS
    targets = np.zeros((5, 12), np.bool_)
    targets[np.arange(5), lengths - 1] = True
    targets[:, 3] = True
    return Prompts("uneven", tokens, lengths, targets)


def _mean_z(model: HandBuiltModel, prompts: Prompts, head: HeadRef) -> torch.Tensor:
    z = model.activations(torch.from_numpy(prompts.tokens), [head.layer])[head.layer].z[:, :, head.head]
    rows = [z[row, place] for row in range(len(prompts)) for place in range(1, int(prompts.lengths[row]))]
    return torch.stack(rows).mean(dim=0)
