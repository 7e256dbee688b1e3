"""What a job leaves in the store, rechecked from the store and against the model and SAE files themselves."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.adapters.sae_sources import LocalSae
from app.domain.records import RANKINGS, Examples, FeatureRecord
from app.domain.refs import HeadRef
from app.store.atlas.reads import get_sequences
from app.store.database.engine import read_session
from tests.support.slow_truth import SlowSae, logit_weights, run_model
from tests.support.tiny_jobs import PublishedAtlas, Tiny, make_tiny, run

ARCHITECTURES = ("standard", "topk", "topk_rescaled", "jumprelu", "gated")
NORMS = ("none", "layer_norm", "constant_norm_rescale", "expected_average_only_in")
FACTOR = 1.7
TOLERANCE = 1e-4
FAST = [
    ("gpt2", "standard", True, "none", "raw"),
    ("gpt2", "topk", False, "layer_norm", "processed"),
    ("gpt2", "jumprelu", True, "expected_average_only_in", "raw"),
    ("llama", "topk_rescaled", True, "constant_norm_rescale", "raw"),
    ("llama", "gated", False, "none", "processed"),
]
FACTORS = (("gpt2", "llama"), ARCHITECTURES, (True, False), NORMS, ("raw", "processed"))
# Every pair of values occurs in PAIRWISE (a test below holds it); `make sweep` runs every combination.
PAIRWISE = [
    (FACTORS[0][(i + j) % 2], architecture, FACTORS[2][(i // 2 + j) % 2], norm, FACTORS[4][(i + j // 2) % 2])
    for i, architecture in enumerate(ARCHITECTURES)
    for j, norm in enumerate(NORMS)
]
OTHERS = [case for case in itertools.product(*FACTORS) if case not in FAST and case not in PAIRWISE]
CASES = [
    *FAST,
    *(pytest.param(*case, marks=pytest.mark.slow) for case in PAIRWISE if case not in FAST),
    *(pytest.param(*case, marks=pytest.mark.sweep) for case in OTHERS),
]


def made(root: Path, model: str, architecture: str, apply_b_dec: bool, norm: str, processing: Any) -> Tiny:
    factor = {"factor": FACTOR} if norm == "expected_average_only_in" else {}
    return make_tiny(
        root,
        model,
        architecture,
        processing,
        apply_b_dec_to_input=apply_b_dec,
        normalize_activations=norm,
        **factor,
    )


def test_the_sample_holds_every_pair_of_values() -> None:
    for one, other in itertools.combinations(range(len(FACTORS)), 2):
        pairs = {(case[one], case[other]) for case in PAIRWISE}
        assert pairs == set(itertools.product(FACTORS[one], FACTORS[other]))


@pytest.mark.parametrize(("model", "architecture", "apply_b_dec", "norm", "processing"), CASES)
def test_stored_examples_add_up_and_agree_with_the_model_itself(
    tmp_path: Path, model: str, architecture: str, apply_b_dec: bool, norm: str, processing: Any
) -> None:
    tiny = made(tmp_path, model, architecture, apply_b_dec, norm, processing)
    factor = FACTOR if norm == "expected_average_only_in" else None
    store = str(tmp_path / "store.sqlite")
    run(tiny, store, processing=processing, saes=tuple(LocalSae(path, factor) for path in tiny.saes))
    published = PublishedAtlas.open(store)
    for layer in published.layers:
        features = published.features(layer)
        assert features
        for feature in features:
            check_identities(feature)
        check_against_files(published, tiny, layer, features, factor or 1.0, processing == "processed")


def check_identities(feature: FeatureRecord) -> None:
    """The sums that every stored example must keep."""
    examples = feature.examples
    assert examples is not None
    assert len(examples)
    size = np.abs(examples.dfa).sum((1, 2)) + np.abs(examples.dfa_rest).sum(1)
    by_head = examples.dfa.sum(-1, dtype=np.float64) + examples.dfa_rest
    assert (np.abs(by_head - examples.head_contribution).max(1) <= TOLERANCE * size).all()
    total = examples.head_contribution.sum(-1, dtype=np.float64) + examples.bias
    assert (np.abs(total - examples.pre_activation) <= TOLERANCE * size).all()
    summed = examples.summed
    assert summed is not None
    size = np.abs(summed.dfa).sum(1) + np.abs(summed.rest)
    total = summed.dfa.sum(-1, dtype=np.float64) + summed.rest + examples.bias
    assert (np.abs(total - examples.pre_activation) <= TOLERANCE * (size + np.abs(examples.bias))).all()
    assert examples.residual.max() <= TOLERANCE
    assert feature.worst_residual == examples.residual.max()
    assert (examples.activation > 0).all()
    at_dest = examples.sequence_activations[np.arange(len(examples)), examples.position]
    np.testing.assert_allclose(at_dest.astype(np.float32), examples.activation, rtol=1e-3, atol=1e-4)


def check_against_files(
    published: PublishedAtlas,
    tiny: Tiny,
    layer: int,
    features: list[FeatureRecord],
    factor: float,
    processed: bool,
) -> None:
    with read_session(published.engine) as session:
        rows = get_sequences(session, published.run, range(published.run.record.n_sequences))
    tokens = np.stack([rows[index] for index in sorted(rows)])
    attention = run_model(tiny.model, tokens, layer, processed)
    sae = SlowSae.read(tiny.saes[layer], factor)
    z = attention.z
    p, acts = sae.encode(z.reshape(len(tokens) * tokens.shape[1], -1))
    p, acts = (array.reshape(*tokens.shape, -1) for array in (p, acts))
    contributions = sae.contributions(z.reshape(-1, *z.shape[2:])).reshape(*tokens.shape, z.shape[2], -1)
    for feature in features:
        check_examples(feature, sae, attention, p, acts, contributions)
        check_all_heads(feature, sae, attention, tokens, published.run.record.model.bos_token_id)
    for feature in features[:6]:
        check_logits(feature, sae, tiny.model, layer, shown_heads(published, feature))


def shown_heads(published: PublishedAtlas, feature: FeatureRecord) -> set[int]:
    """The heads through which pages show the feature: those that list it, and its largest."""
    lists = {
        (head, ranking): published.ranking(HeadRef(feature.ref.layer, head), ranking)
        for head in range(len(feature.decoder_weight_share))
        for ranking in RANKINGS
    }
    listed = {key[0] for key, each in lists.items() if feature.ref in [place.ref for place in each.features]}
    return {*listed, feature.largest_head.head}


def check_examples(feature: FeatureRecord, sae: SlowSae, attention: Any, p: Any, acts: Any, c: Any) -> None:
    examples, index = feature.examples, feature.ref.index
    assert examples is not None
    at = (examples.sequence, examples.position)
    close = {"rtol": 2e-4, "atol": 2e-4}
    np.testing.assert_allclose(examples.pre_activation, p[*at, index], **close)
    np.testing.assert_allclose(examples.activation, acts[*at, index], **close)
    np.testing.assert_allclose(examples.head_contribution, c[*at, :, index], **close)
    largest_step = largest_steps(examples)
    for i in range(0, len(examples), 5):
        rounded = {"rtol": 2e-4, "atol": 2e-4 + largest_step[i]}
        dfa = sae.dfa(attention, int(examples.sequence[i]), int(examples.position[i]), index)
        kept = examples.source[i] >= 0
        stored = np.where(kept, np.take_along_axis(dfa, np.maximum(examples.source[i], 0).astype(int), 1), 0)
        np.testing.assert_allclose(examples.dfa[i], stored, **rounded)
        rest = dfa.sum(1) - stored.sum(1)
        np.testing.assert_allclose(examples.dfa_rest[i], rest, rtol=2e-4, atol=2e-4 + largest_step[i])
        past = dfa[:, : examples.position[i] + 1]
        np.testing.assert_allclose(examples.dfa[i][:, 0], past.max(1), **rounded)


def largest_steps(examples: Examples) -> Any:
    """What a stored DFA may be off by: a step, of which 1024 and more are the example's largest value."""
    assert examples.summed is not None
    values = (examples.dfa.reshape(len(examples), -1), examples.head_contribution, examples.summed.dfa)
    return np.abs(np.concatenate(values, axis=1)).max(1) / 2**10


def check_all_heads(feature: FeatureRecord, sae: SlowSae, attention: Any, tokens: Any, bos: int) -> None:
    """The sources that were kept of the heads' sum, against one product and one sum at a time."""
    assert feature.examples is not None
    examples, summed = feature.examples, feature.examples.summed
    assert summed is not None
    largest_step = largest_steps(examples)
    for i in range(0, len(examples), 5):
        rounded = {"rtol": 2e-4, "atol": 2e-4 + largest_step[i]}
        sequence, dest = int(examples.sequence[i]), int(examples.position[i])
        by_head = sae.dfa(attention, sequence, dest, feature.ref.index)
        dfa = np.array([sum(row[src] for row in by_head) for src in range(by_head.shape[1])])
        sources = [int(source) for source in summed.source[i] if source >= 0]
        assert len(set(sources)) == len(sources) == min(dest + 1, summed.source.shape[1])
        np.testing.assert_allclose(summed.dfa[i][: len(sources)], dfa[sources], **rounded)
        assert not summed.dfa[i][len(sources) :].any()
        others = [src for src in range(len(dfa)) if src not in sources]
        rest = dfa[others].sum()
        np.testing.assert_allclose(summed.rest[i], rest, rtol=2e-4, atol=2e-4 + largest_step[i])
        assert dfa[sources[0]] >= dfa[: dest + 1].max() - 2e-4
        smallest = min(abs(dfa[source]) for source in sources[1:]) if sources[1:] else 0
        assert all(abs(dfa[src]) <= smallest + 2e-4 for src in others if src <= dest)
        assert summed.prefix_length[i] == prefix_length(tokens[sequence], dest, sources[0], bos)
        assert summed.prefix_length_fuzzy[i] >= summed.prefix_length[i]


def prefix_length(row: Any, dest: int, source: int, bos: int) -> int:
    n = 0
    while n < min(source, dest - source + 1) and row[dest - n] == row[source - 1 - n] != bos:
        n += 1
    return n


def check_logits(feature: FeatureRecord, sae: SlowSae, model: Path, layer: int, shown: set[int]) -> None:
    w_o, norm, w_u, centres = logit_weights(model, layer)
    slices = sae.directions()[feature.ref.index].reshape(w_o.shape[:2])
    by_head = np.einsum("hd,hdm->hm", slices, w_o)

    def logits(direction: Any) -> Any:
        direction = direction - direction.mean() if centres else direction
        effect = (direction * norm) @ w_u
        return effect - effect.mean()

    whole = logits(by_head.sum(0))
    best = np.sort(whole)[::-1]
    n = len(feature.promoted.logit)
    close = {"rtol": 1e-3, "atol": 1e-4}
    np.testing.assert_allclose(feature.promoted.logit, best[:n], **close)
    np.testing.assert_allclose(whole[feature.promoted.token_id], best[:n], **close)
    np.testing.assert_allclose(feature.suppressed.logit, best[::-1][:n], **close)
    assert feature.top_logit is not None
    first = [logits(part)[feature.promoted.token_id[0]] for part in by_head]
    np.testing.assert_allclose(feature.top_logit, first, **close)
    np.testing.assert_allclose(feature.top_logit.sum(), feature.promoted.logit[0], **close)
    for head in set(range(len(by_head))) - shown:
        assert (feature.head_promoted.token_id[head] == -1).all()
        assert (feature.head_suppressed.token_id[head] == -1).all()
    for head in shown:
        ends = np.sort(logits(by_head[head]))[::-1]
        k = feature.head_promoted.logit.shape[1]
        np.testing.assert_allclose(feature.head_promoted.logit[head], ends[:k], **close)
        np.testing.assert_allclose(feature.head_suppressed.logit[head], ends[::-1][:k], **close)
