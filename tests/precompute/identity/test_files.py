"""Every file that rows depend on is in the run's fingerprint: weights, tokenizer, config and text."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerFast

from app.adapters.model_sources import find_model
from app.adapters.sae_sources import LocalSae
from app.adapters.transformer_lens_model import load_model
from app.errors import InvalidCorpus
from app.precompute.plan import RunPlan
from app.precompute.prepare import prepare
from tests.support.changed_inputs import CHANGES, RAW, InputChange, json_of, plan_of, tokenizer_words
from tests.support.tiny_jobs import Tiny, make_tiny


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_input_counts(tiny: Tiny, plan: RunPlan, change: InputChange) -> None:
    assert plan_of(tiny) == plan  # where the files are does not count
    change.do(tiny)
    after = plan_of(tiny)
    assert after.fingerprint != plan.fingerprint
    assert getattr(after, change.part) != getattr(plan, change.part)
    same_labels = [sae.checksum for sae in after.saes] == [sae.checksum for sae in plan.saes]
    assert same_labels == change.labels_stay


def test_every_weight_of_a_model_counts(tiny: Tiny) -> None:
    path = tiny.model / "model.safetensors"
    weights = load_file(path)
    checksums = {load_model(find_model(str(tiny.model), tiny.root)).checksums}
    for name, tensor in weights.items():
        odd = tensor.clone()
        odd.view(-1)[0] += 1e-3
        save_file(weights | {name: odd}, path, {"format": "pt"})
        checksums.add(load_model(find_model(str(tiny.model), tiny.root)).checksums)
    assert len(checksums) == 1 + len(weights)
    assert len({each.tokenizer for each in checksums if each}) == 1


def test_the_file_that_weights_are_in_does_not_count(tiny: Tiny) -> None:
    before = load_model(find_model(str(tiny.model), tiny.root)).checksums
    path = tiny.model / "model.safetensors"
    torch.save(load_file(path), tiny.model / "pytorch_model.bin")
    path.unlink()
    assert load_model(find_model(str(tiny.model), tiny.root)).checksums == before


def test_the_factor_of_an_sae_counts(tmp_path: Path) -> None:
    norm = "expected_average_only_in"
    tiny = make_tiny(tmp_path, k=6, normalize_activations=norm, factor=0.5)
    plans = [
        plan_of(tiny, saes=tuple(LocalSae(path, factor) for path in tiny.saes)) for factor in (0.5, 0.25)
    ]
    assert plans[0].fingerprint != plans[1].fingerprint
    assert [sae.checksum for sae in plans[0].saes] == [sae.checksum for sae in plans[1].saes]


def test_a_corpus_is_tokenised_again_for_another_tokenizer(tiny: Tiny) -> None:
    first, _ = prepare(tiny.request(**RAW))
    tokenizer_words(tiny)
    second, _ = prepare(tiny.request(**RAW))
    assert first.corpus_folder != second.corpus_folder
    assert first.plan.dataset_identity == second.plan.dataset_identity
    assert first.plan.corpus_checksum != second.plan.corpus_checksum


def test_a_token_that_the_model_does_not_have_is_named(tiny: Tiny) -> None:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tiny.model)
    tokenizer.add_tokens(["dogs"])
    tokenizer.save_pretrained(tiny.model)
    message = "tokenizer of tiny-model makes token 320 of corpus.txt, and the model has tokens 0 to 319"
    with pytest.raises(InvalidCorpus, match=message):
        plan_of(tiny)


def test_merges_in_a_file_of_their_own_count(tiny: Tiny) -> None:
    """A tokenizer that is kept as vocabulary and merges, as GPT-2's first was."""
    rules = json.loads((tiny.model / "tokenizer.json").read_text())["model"]
    (tiny.model / "vocab.json").write_text(json.dumps(rules["vocab"]))
    merges = [each if isinstance(each, str) else " ".join(each) for each in rules["merges"]]
    (tiny.model / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
    (tiny.model / "tokenizer.json").unlink()
    json_of("tokenizer_config.json", tokenizer_class="GPT2Tokenizer")(tiny)
    before = plan_of(tiny)
    (tiny.model / "merges.txt").write_text("\n".join(["#version: 0.2", *merges[:-1]]))
    after = plan_of(tiny)
    assert before.model_revision == after.model_revision  # which goes by other files
    assert before.tokenizer_checksum != after.tokenizer_checksum
