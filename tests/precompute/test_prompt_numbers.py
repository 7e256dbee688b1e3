"""A text put to the model: the numbers of the store, the identities, and texts that are refused."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sqlalchemy import Engine

from app.adapters.sae_sources import WEIGHTS_FILE, LocalSae, ReleaseSae
from app.domain.prompts import PromptAnswer, PromptOpening, PromptQuestion, question_json
from app.errors import InvalidModel, InvalidSae
from app.precompute.loaded_run import LoadedRun
from app.precompute.plan import RunPlan, RunPlanChanged
from app.precompute.prompt_numbers import UnfitText, answer, answer_for
from app.precompute.prompt_worker import serve
from app.precompute.shard import token_batches
from app.precompute.sources import SourcesNotRecorded, _sae_json, _sae_spec, reopen
from app.services.prompts.process import PromptFailed, PromptProcess
from app.store.atlas.reads import get_report, get_sequences
from app.store.database.engine import read_session
from tests.support.tiny_jobs import CONTEXT, N_HEADS, TEXT, PublishedAtlas, Tiny, edit_weights, make_tiny, run

CLOSE = {"rtol": 1e-4, "atol": 1e-4}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("prompt"), "gpt2", "topk", "processed", k=6)


@pytest.fixture(scope="module")
def published(tiny: Tiny) -> PublishedAtlas:
    store = str(tiny.root / "store.sqlite")
    run(tiny, store, processing="processed", layers=(1,))
    return PublishedAtlas.open(store)


@pytest.fixture(scope="module")
def opening(tiny: Tiny, published: PublishedAtlas) -> PromptOpening:
    return PromptOpening(published.run.record.plan, sources(published.engine, published), str(tiny.root))


def sources(engine: Engine, published: PublishedAtlas) -> Any:
    with read_session(engine) as session:
        return get_report(session, published.run).details["sources"]


@pytest.fixture(scope="module")
def loaded_run(opening: PromptOpening) -> LoadedRun:
    return reopen(RunPlan.from_json(opening.plan), opening.sources, Path(opening.cache_dir))


def identity_holds(found: PromptAnswer) -> None:
    feature = found.feature
    assert feature is not None
    dfa = np.array(feature.dfa)
    size = np.abs(dfa).sum()
    assert abs(dfa.sum() + feature.bias - feature.pre_activation[found.dest]) <= 1e-4 * size
    np.testing.assert_allclose(dfa.sum(1), feature.contributions, rtol=1e-4, atol=1e-4 * size)
    assert feature.head_contribution[found.dest] == feature.contributions[found.head]
    assert 0 <= feature.residual <= 1e-4


def test_the_numbers_are_those_of_the_store(loaded_run: LoadedRun, published: PublishedAtlas) -> None:
    features = published.features(1)
    assert len(features) > 10
    n = 0
    for record in features[::3]:
        examples = record.examples
        assert examples is not None
        for i in range(0, len(examples), 4):
            sequence, dest = int(examples.sequence[i]), int(examples.position[i])
            with read_session(published.engine) as session:
                tokens = get_sequences(session, published.run, [sequence])[sequence].astype(np.int64)
            counted = torch.ones((1, len(tokens)), dtype=torch.bool)
            counted[:, 0] = False
            [batch] = token_batches(loaded_run, torch.from_numpy(tokens[None]), counted, 0, only=[1])
            found = answer_for(
                batch, tokens.tolist(), PromptQuestion("", 1, 2, feature=record.ref.index, dest=dest)
            )
            assert found.feature is not None
            assert (found.head, found.dest) == (2, dest)
            identity_holds(found)
            stored = examples.sequence_activations[i].astype(np.float32)
            np.testing.assert_allclose(found.feature.activation, stored, rtol=2e-3, atol=2e-3)
            np.testing.assert_allclose(found.feature.activation[dest], examples.activation[i], **CLOSE)
            np.testing.assert_allclose(
                found.feature.pre_activation[dest], examples.pre_activation[i], **CLOSE
            )
            np.testing.assert_allclose(found.feature.contributions, examples.head_contribution[i], **CLOSE)
            np.testing.assert_allclose(found.feature.bias, examples.bias[i], **CLOSE)
            dfa = np.array(found.feature.dfa)
            rounded = {
                "rtol": 1e-4,
                "atol": 1e-4 + np.abs(examples.head_contribution[i]).max() / 2**8,
            }  # stored in steps
            for head in range(N_HEADS):
                kept = examples.source[i, head] >= 0
                np.testing.assert_allclose(
                    dfa[head][examples.source[i, head][kept]], examples.dfa[i, head][kept], **rounded
                )
            n += 1
    assert n > 20


def test_a_text_is_read_as_the_run_reads(loaded_run: LoadedRun) -> None:
    text = "Mary gave John two drinks"
    found = answer(loaded_run, PromptQuestion(text, 1))
    ids = loaded_run.any_model.tokenizer.encode(text)
    assert found.tokens == [loaded_run.record.bos_token_id, *ids]
    identity_holds(found)
    assert found.feature is not None
    assert found.head == int(np.argmax(found.feature.contributions))
    for dest, row in enumerate(found.pattern):
        assert len(row) == dest + 1
        assert sum(row) == pytest.approx(1, abs=1e-5)
    added = [each.head_contribution for each in found.active]
    assert added == sorted(added, reverse=True)
    assert len({each.index for each in found.active}) == len(added) > 3
    first = answer(loaded_run, PromptQuestion(text, 1, found.head))
    assert first.feature is not None
    assert (first.feature.index, first.dest) == (first.active[0].index, first.active[0].position)
    assert first.feature.activation[first.dest] == pytest.approx(first.active[0].activation)


def test_the_head_and_the_pattern_belong_together(loaded_run: LoadedRun) -> None:
    text = "the lazy dog barks"
    patterns = loaded_run.any_model.patterns(
        torch.tensor([answer(loaded_run, PromptQuestion(text, 1)).tokens])
    )
    for layer, head in ((0, 1), (0, 3), (1, 2)):
        found = answer(loaded_run, PromptQuestion(text, layer, head))
        for dest, row in enumerate(found.pattern):
            np.testing.assert_allclose(row, patterns[layer][0, head, dest, : dest + 1].numpy(), atol=1e-6)
        assert (found.feature is None) == (layer == 0)  # the run left out the SAE of layer 0


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (PromptQuestion(" \n", 1), "no text"),
        (PromptQuestion("dog " * (CONTEXT + 3), 1), f"holds {CONTEXT - 1} after BOS"),
        (PromptQuestion("x" * 4001, 1), "more than 4000 characters"),
        (PromptQuestion("a dog", 1, dest=9), "no token 9"),
        (PromptQuestion("a dog", 1, dest=0), "no token 0"),
        (PromptQuestion("a dog", 1, feature=10**6), "features 0 to"),
        (PromptQuestion("a dog", 7), "layers 0 to 1"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(
    loaded_run: LoadedRun, question: PromptQuestion, message: str
) -> None:
    with pytest.raises(UnfitText, match=message):
        answer(loaded_run, question)


def test_a_run_without_sources_or_with_others_is_refused(tiny: Tiny, opening: PromptOpening) -> None:
    plan = RunPlan.from_json(opening.plan)
    with pytest.raises(SourcesNotRecorded, match="precompute it again"):
        reopen(plan, None, tiny.root)
    assert opening.sources is not None
    other = {**opening.sources, "model": str(make_tiny(tiny.root / "other", "llama").model)}
    with pytest.raises((InvalidModel, InvalidSae)):
        reopen(plan, other, tiny.root)
    weights = tiny.saes[1] / WEIGHTS_FILE
    before = weights.read_bytes()
    edit_weights(tiny.saes[1], lambda tensors: tensors["b_enc"].add_(1))
    try:
        with pytest.raises(InvalidSae, match="no longer the one"):
            reopen(plan, opening.sources, tiny.root)
    finally:
        weights.write_bytes(before)
    with pytest.raises(RunPlanChanged, match="another version"):
        RunPlan.from_json({**opening.plan, "format": 0})


@pytest.mark.parametrize("spec", [LocalSae(Path("/a/b"), 1.5), LocalSae(Path("/a")), ReleaseSae("r", "l/0")])
def test_sources_survive_the_store(spec: LocalSae | ReleaseSae) -> None:
    assert _sae_spec(json.loads(json.dumps(_sae_json(spec)))) == spec


def test_the_plan_survives_the_store(opening: PromptOpening, published: PublishedAtlas) -> None:
    assert RunPlan.from_json(opening.plan).fingerprint == published.run.record.fingerprint


def test_the_worker_answers_line_by_line(opening: PromptOpening) -> None:
    lines = [
        {"id": 0, "open": question_json(opening)},
        {"id": 1, "ask": question_json(PromptQuestion(TEXT[:30], 1))},
        {"id": 2, "ask": question_json(PromptQuestion("", 1))},
        {"id": 3, "open": question_json(PromptOpening(opening.plan, None, opening.cache_dir))},
    ]
    replies = io.BytesIO()
    serve(io.BytesIO(b"".join(json.dumps(line).encode() + b"\n" for line in lines)), replies)
    opened, read, refused, unknown = map(json.loads, replies.getvalue().splitlines())
    assert opened == {"id": 0, "ok": {}}
    identity_holds(PromptAnswer.from_json(read["ok"]))
    assert refused == {"id": 2, "error": "there is no text to read"}
    assert "earlier version" in unknown["error"]
    with pytest.raises(ValueError, match="must open"):
        serve(io.BytesIO(b'{"id": 0, "ask": {"text": "a", "layer": 1}}\n'), io.BytesIO())


def test_the_process_of_its_own(opening: PromptOpening) -> None:
    process = PromptProcess()
    try:
        process.open(opening)
        identity_holds(process.ask(PromptQuestion("Mary gave John", 1), 60))
        with pytest.raises(PromptFailed, match="no text"):
            process.ask(PromptQuestion("", 1), 60)
        identity_holds(process.ask(PromptQuestion("Mary", 1, 3), 60))
    finally:
        process.close()
