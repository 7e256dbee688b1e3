"""Whatever a row depends on is in the run's fingerprint: each input is changed, one by one, and demands another."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, make_dataclass, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
import torch
from safetensors.torch import load_file, save_file
from starlette.testclient import TestClient
from transformers import PreTrainedTokenizerFast

from app.adapters.model_sources import find_model
from app.adapters.sae_config import SaeConfig, parse_config, sae_identity
from app.adapters.sae_sources import LocalSae, SaeFacts, folder_facts
from app.adapters.sae_weights import RawSae
from app.adapters.transformer_lens_model import load_model
from app.errors import InvalidCorpus, InvalidModel, InvalidSae
from app.precompute.loaded_run import LoadedRun
from app.precompute.plan import RowOptions, RunPlan, RunPlanChanged, SaePlan
from app.precompute.prepare import prepare
from app.precompute.request import RunOptions
from tests.support.serving import served
from tests.support.tiny_jobs import (
    SLUG,
    Published,
    Tiny,
    digest_of,
    edit_config,
    edit_weights,
    make_tiny,
    run,
)

RAW = {"processing": "raw"}
OTHER_CONFIG = "sae-1 has the same weights and another config or factor"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("identity"), k=6)


@pytest.fixture
def tiny(original: Tiny, tmp_path: Path) -> Tiny:
    """A copy of one's own to change."""
    root = tmp_path / "copy"
    shutil.copytree(original.root, root)

    def moved(path: Path) -> Path:
        return root / path.relative_to(original.root)

    return Tiny(root, moved(original.model), tuple(map(moved, original.saes)), moved(original.text))


@pytest.fixture(scope="module")
def plan(original: Tiny) -> RunPlan:
    return plan_of(original)


def plan_of(tiny: Tiny, **options: Any) -> RunPlan:
    return prepare(tiny.request(**{**RAW, **options}))[0].plan


# An SAE: its config as it is understood, what else was given of it, and its weights.


@pytest.fixture(scope="module")
def facts(original: Tiny) -> SaeFacts:
    return folder_facts(LocalSae(original.saes[0]))


@pytest.fixture(scope="module")
def config(facts: SaeFacts) -> SaeConfig:
    return parse_config(facts.name, facts.config)


def other(owner: type, name: str, value: object) -> object:
    """Another value than this that the field's type allows."""
    return next(each for each in values_of(get_type_hints(owner)[name]) if each != value)


def values_of(kind: Any) -> Iterator[object]:
    """Some values of a type."""
    if get_origin(kind) is Literal:
        yield from get_args(kind)
    elif get_origin(kind) in (Union, UnionType):
        for part in get_args(kind):
            yield from values_of(part)
    else:
        some = {
            bool: (True, False),
            int: (7, 8),
            float: (0.25, 0.5),
            str: ("one", "other"),
            NoneType: (None,),
        }
        yield from some[kind]


@pytest.mark.parametrize("name", [part.name for part in fields(SaeConfig)])
def test_every_field_of_a_parsed_config_counts(facts: SaeFacts, config: SaeConfig, name: str) -> None:
    changed = replace(config, **{name: other(SaeConfig, name, getattr(config, name))})
    assert sae_identity(facts, changed) != sae_identity(facts, config)


@pytest.mark.parametrize("name", [part.name for part in fields(SaeFacts) if part.name != "config"])
def test_every_other_fact_of_an_sae_counts(facts: SaeFacts, config: SaeConfig, name: str) -> None:
    changed = replace(facts, **{name: other(SaeFacts, name, getattr(facts, name))})
    assert sae_identity(changed, config) != sae_identity(facts, config)


def test_a_new_field_cannot_be_left_out(facts: SaeFacts, config: SaeConfig) -> None:
    wider = make_dataclass("Wider", [("window", int)], bases=(SaeConfig,), frozen=True)
    configs = [wider(**vars(config), window=window) for window in (1, 2)]
    assert len({sae_identity(facts, each) for each in configs}) == 2
    wider = make_dataclass("WiderFacts", [("window", int)], bases=(SaeFacts,), frozen=True, kw_only=True)
    known = [wider(**vars(facts), window=window) for window in (1, 2)]
    assert len({sae_identity(each, config) for each in known}) == 2
    assert {part.name for part in fields(RawSae)} == {"facts", "tensors"}  # the weights' checksum is a fact


# A plan: every field of it is hashed, and every option that decides rows is a field.


def test_every_field_of_a_plan_counts(plan: RunPlan) -> None:
    for part in fields(RunPlan):
        value = getattr(plan, part.name)
        if part.name == "saes":
            for inner in fields(SaePlan):
                inner_value = other(SaePlan, inner.name, getattr(value[0], inner.name))
                first = replace(value[0], **{inner.name: inner_value})
                assert replace(plan, saes=(first, *value[1:])).fingerprint != plan.fingerprint, inner.name
        else:
            changed = value[1:] if isinstance(value, tuple) else other(RunPlan, part.name, value)
            assert replace(plan, **{part.name: changed}).fingerprint != plan.fingerprint, part.name


OPTIONS: dict[str, Any] = {
    "context_size": 16, "n_prompts": 9, "features": "all", "k": 4, "min_active": 2, "batch_size": 2,
    "shard_size": 5, "dtype": "bfloat16", "device": "cpu:0", "seed": 1, "threads": 2,
}  # fmt: skip


def test_every_option_that_decides_rows_is_tried() -> None:
    assert {*OPTIONS, "dataset"} == {part.name for part in fields(RowOptions)}


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_that_decides_rows_counts(original: Tiny, plan: RunPlan, name: str) -> None:
    assert plan_of(original, **{name: OPTIONS[name]}).fingerprint != plan.fingerprint


# Files, changed one by one; the same command on them.


@dataclass(frozen=True)
class Change:
    """Something done to a file, and the part of the plan that must tell of it."""

    part: str
    do: Callable[[Tiny], None]
    labels_stay: bool = True  # whether labels of the SAEs' features still belong to them


def tokenizer_words(tiny: Tiny) -> None:
    path = tiny.model / "tokenizer.json"
    rules = json.loads(path.read_text())
    del rules["model"]["merges"][-1]
    path.write_text(json.dumps(rules))


def json_of(name: str, **changes: Any) -> Callable[[Tiny], None]:
    def edit(tiny: Tiny) -> None:
        path = tiny.model / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return edit


def model_weights(tiny: Tiny) -> None:
    path = tiny.model / "model.safetensors"
    weights = load_file(path)
    weights["transformer.h.0.mlp.c_fc.bias"][3] += 1e-6
    save_file(weights, path, {"format": "pt"})


def sae_weight(name: str) -> Callable[[Tiny], None]:
    def nudge(weights: dict[str, torch.Tensor]) -> None:
        weights[name].view(-1)[-1] += 0.5

    return lambda tiny: edit_weights(tiny.saes[1], nudge)


def longer_text(tiny: Tiny) -> None:
    tiny.text.write_text(tiny.text.read_text().replace("dog", "cat", 1))


CHANGES: dict[str, Change] = {
    "k": Change("saes", lambda tiny: edit_config(tiny.saes[1], k=5)),
    "b_dec subtracted": Change("saes", lambda tiny: edit_config(tiny.saes[1], apply_b_dec_to_input=False)),
    "rescaled": Change("saes", lambda tiny: edit_config(tiny.saes[1], rescale_acts_by_decoder_norm=True)),
    "normalisation": Change(
        "saes", lambda tiny: edit_config(tiny.saes[1], normalize_activations="layer_norm")
    ),
    "published l0": Change(
        "saes", lambda tiny: edit_config(tiny.saes[1], metadata={"head_atlas_l0": 6.0})
    ),
    **{
        f"SAE {name}": Change("saes", sae_weight(name), labels_stay=False)
        for name in ("W_enc", "W_dec", "b_enc", "b_dec")
    },
    "model configuration": Change("model_checksum", json_of("config.json", layer_norm_epsilon=2e-5)),
    "model weight": Change("model_checksum", model_weights),
    "tokenizer rules": Change("tokenizer_checksum", tokenizer_words),
    "tokenizer roles": Change("tokenizer_checksum", json_of("tokenizer_config.json", eos_token="<bos>")),
    "text": Change("corpus_checksum", longer_text),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_input_counts(tiny: Tiny, plan: RunPlan, change: Change) -> None:
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


# What follows: runs, shares and processes never mix two SAEs.


def test_with_another_k_the_same_command_computes_another_run(tiny: Tiny) -> None:
    store = tiny.root / "store.sqlite"
    first = run(tiny, str(store))
    rows = digest_of(store)
    labels = {sae.layer: sae.checksum for sae in Published.open(str(store)).run.record.saes}
    edit_config(tiny.saes[1], k=5)
    with pytest.raises(
        RunPlanChanged,
        match=r"other options \(saes: sae-1 has the same weights and another config or factor\); add",
    ):
        run(tiny, str(store))
    second = run(tiny, str(store), RunOptions(new_run=True))
    assert "up to date" not in second
    assert first.splitlines()[0] != second.splitlines()[0]
    assert digest_of(store) != rows
    assert {sae.layer: sae.checksum for sae in Published.open(str(store)).run.record.saes} == labels
    assert run(tiny, str(store)).startswith("up to date")


def test_a_browser_gets_the_pages_of_another_k_anew(tiny: Tiny) -> None:
    store, path = str(tiny.root / "store.sqlite"), f"/{SLUG}/heads/L1H0"
    run(tiny, store)
    with TestClient(served(store)) as client:
        tag = client.get(path).headers["ETag"]
        assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
        edit_config(tiny.saes[1], k=5)
        run(tiny, store, RunOptions(new_run=True))
        assert client.get(path, headers={"If-None-Match": tag}).status_code == 200


def test_shares_of_two_saes_are_not_mixed(tiny: Tiny) -> None:
    store = str(tiny.root / "store.sqlite")
    run(tiny, store, RunOptions(shard=(0, 2)))
    edit_config(tiny.saes[1], k=5)
    with pytest.raises(RunPlanChanged, match=f"saes: {OTHER_CONFIG}"):
        run(tiny, store, RunOptions(shard=(1, 2)))


@pytest.mark.parametrize("name", ["k", "SAE b_enc"])
def test_a_process_that_finds_another_sae_stops(tiny: Tiny, name: str) -> None:
    spec, _ = prepare(tiny.request(**RAW))
    CHANGES[name].do(tiny)
    with pytest.raises(InvalidSae, match="the SAE sae-1 is no longer the one that the run was made with"):
        _ = LoadedRun(spec).saes


@pytest.mark.parametrize(
    "name", ["model configuration", "model weight", "tokenizer rules", "tokenizer roles"]
)
def test_a_process_that_finds_another_model_stops(tiny: Tiny, name: str) -> None:
    spec, _ = prepare(tiny.request(**RAW))
    CHANGES[name].do(tiny)
    message = "the model tiny-model is no longer the one that the run was made with"
    with pytest.raises(InvalidModel, match=message):
        LoadedRun(spec).model()


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
