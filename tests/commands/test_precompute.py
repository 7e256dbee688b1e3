"""The job as typed: bad input is one sentence, an exit code, and nothing half-written."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

import app.adapters.transformer_lens_model
import app.cli
from app.precompute.work_folder import WorkFolder
from tests.support.command_line import Command
from tests.support.tiny_jobs import CONTEXT, SLUG, Tiny, edit_config, edit_weights, make_tiny
from tests.support.tiny_models import save_tiny_gpt2


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("cli"))


@pytest.fixture
def case(tiny: Tiny, tmp_path: Path) -> "Case":
    return Case(tiny, tmp_path)


@dataclass(frozen=True)
class Case:
    """Words of a good command, to spoil one at a time."""

    tiny: Tiny
    folder: Path

    @property
    def store(self) -> Path:
        return self.folder / "store.sqlite"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def words(self, **spoiled: str) -> list[str]:
        """Options given again replace the good ones; an empty text drops the option."""
        words = self.tiny.arguments(str(self.store), "--work-dir", str(self.work))
        for name, value in spoiled.items():
            option = "--" + name.replace("_", "-")
            while option in words:
                del words[words.index(option) : words.index(option) + 2]
            words += [option, value] if value else []
        return words

    def sae(self, **metadata: object) -> Path:
        """A copy of the first SAE, which may be edited."""
        copy = self.folder / "sae"
        shutil.copytree(self.tiny.saes[0], copy)
        edit_config(copy, metadata=metadata)
        return copy


Spoil = Callable[[Case], list[str]]


def other_model(case: Case) -> list[str]:
    return case.words(model=str(save_tiny_gpt2(case.folder / "wide", n_heads=2, d_head=8)))


def empty_corpus(case: Case) -> list[str]:
    (case.folder / "empty.txt").write_text(" \n\n ")
    return case.words(dataset=str(case.folder / "empty.txt"))


def array_without_bos(case: Case) -> list[str]:
    np.save(case.folder / "tokens.npy", np.full((4, CONTEXT), 7))
    return case.words(dataset=str(case.folder / "tokens.npy"))


def wide_array(case: Case) -> list[str]:
    np.save(case.folder / "wide.npy", np.pad(np.full((4, 99), 7), ((0, 0), (1, 0))))
    return case.words(dataset=str(case.folder / "wide.npy"))


def broken_config(case: Case) -> list[str]:
    (case.sae() / "cfg.json").write_text("{")
    return case.words(sae_path=str(case.folder / "sae"))


def nan_weights(case: Case) -> list[str]:
    def spoil(weights: dict[str, torch.Tensor]) -> None:
        weights["W_enc"].fill_(float("nan"))

    edit_weights(case.sae(), spoil)
    return case.words(sae_path=str(case.folder / "sae"))


def two_on_a_layer(case: Case) -> list[str]:
    path = str(case.tiny.saes[0])
    return [*case.words(sae_path=path), "--sae-path", path]


BAD: list[tuple[str, Spoil, str]] = [
    ("no SAE folder", lambda c: c.words(sae_path="/no/such"), "SAE folder /no/such does not exist"),
    ("layers of no SAE", lambda c: c.words(sae_path="", layers="0"), "no SAE was given"),
    ("release alone", lambda c: c.words(release="gpt2-small-hook-z-kk", sae_path=""), "needs --sae-id"),
    ("unknown release", lambda c: c.words(release="none-such", sae_id="x", sae_path=""), "none-such"),
    ("residual SAE", lambda c: c.words(sae_path=str(c.sae(hook_name="blocks.0.hook_resid_pre"))), "residual stream"),
    ("layer too deep", lambda c: c.words(sae_path=str(c.sae(hook_name="blocks.9.attn.hook_z"))), "layers 0 to 1"),
    ("one head's SAE", lambda c: c.words(sae_path=str(c.sae(hook_head_index=2))), "only head 2"),
    ("broken config", broken_config, "is not valid JSON"),
    ("NaN in weights", nan_weights, "holds NaN or infinite numbers"),
    ("two SAEs on a layer", two_on_a_layer, "layer 0 has two"),
    ("wrong model", other_model, "its d_in is 32"),
    ("not a model", lambda c: c.words(model=str(c.folder)), "is not a model folder"),
    ("hub model offline", lambda c: c.words(model="nobody/nothing"), "could not be loaded from the Hugging Face hub"),
    ("missing file", lambda c: c.words(dataset="/no/such.txt"), "there is no corpus file /no/such.txt"),
    ("missing array", lambda c: c.words(dataset="/no/such.npy"), "there is no corpus file /no/such.npy"),
    ("empty corpus", empty_corpus, "has 0 usable tokens"),
    ("array without BOS", array_without_bos, "must begin with the model's BOS token"),
    ("array too wide", wide_array, "a context of 100 tokens is more than"),
    ("context too long", lambda c: c.words(context_size="65"), "65 tokens is more than tiny-model can read (64)"),
    ("context too short", lambda c: c.words(context_size="3"), "--context-size"),
    ("layer without SAE", lambda c: c.words(layers="0,1,2"), "--layers asks for layer 2"),
    ("bad layers", lambda c: c.words(layers="2-1"), "'2-1' is not a list such as 5,6 or 5-7"),
    ("bad share", lambda c: c.words(shard="2/2"), "'2/2' is not i/N"),
    ("k of 0", lambda c: c.words(k="0"), "--k"),
    ("unknown option", lambda c: c.words(depth="3"), "--depth"),
    ("unknown dtype", lambda c: c.words(dtype="int8"), "--dtype"),
    ("reserved name", lambda c: c.words(name="healthz"), "'healthz' is reserved"),
    ("impossible name", lambda c: c.words(name="No Good"), "is not an atlas name"),
    ("store is a folder", lambda c: c.words(store=str(c.folder)), "is a folder, not a store file"),
    ("store in no folder", lambda c: c.words(store=str(c.folder / "no" / "s.sqlite")), "is not a folder"),
    ("work folder is a file", lambda c: c.words(work_dir=str(c.tiny.text)), "cannot be written"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "sentence"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_input_ends_in_one_sentence_and_writes_nothing(
    command: Command, case: Case, spoil: Spoil, sentence: str
) -> None:
    ended = command(*spoil(case))
    assert ended.code == 2
    assert len(ended.errors) == 1
    assert sentence in ended.errors[0]
    assert ended.err.rstrip().splitlines()[-1] == ended.errors[0]
    assert "Traceback" not in ended.err + ended.out
    assert not case.store.exists()
    assert not list(case.work.glob("*/plan.json"))
    assert not list(case.work.glob("*/sealed/*"))


def test_a_store_that_is_not_one_is_left_as_it_was(command: Command, case: Case) -> None:
    case.store.write_text("a letter, not a database " * 100)
    ended = command(*case.words())
    assert (ended.code, len(ended.errors)) == (2, 1)
    assert case.store.read_text().startswith("a letter")


def test_a09_a_busy_work_folder_is_exit_code_3(
    command: Command, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loaded(*_: object) -> None:
        raise AssertionError("the model was loaded before the folder was asked for")

    monkeypatch.setattr(app.adapters.transformer_lens_model, "load_model", loaded)
    with WorkFolder(case.work / SLUG).locked():
        ended = command(*case.words())
    assert ended.code == 3
    assert f'"pid": {os.getpid()}' in ended.errors[0]
    assert not case.store.exists()


def test_a_good_job_is_published_and_then_up_to_date(command: Command, case: Case) -> None:
    first = command(*case.words())
    assert first.code == 0, first.err
    assert "atlas tiny, run" in first.out
    assert "worst residual" in first.out
    assert "compute: " in first.err
    again = command(*[word.replace("--context-size", "--context_size") for word in case.words()])
    assert again.out.startswith("up to date: atlas tiny shows run")
    refused = command(*case.words(k="4"))
    assert refused.code == 2
    assert "k: 3 -> 4" in refused.errors[0]
    assert command("db", "check", "--store", str(case.store)).out == "the store is sound\n"


def test_an_array_brings_its_own_context_size(command: Command, case: Case) -> None:
    generator = np.random.default_rng(0)
    tokens = np.pad(generator.integers(2, 300, (12, 15)), ((0, 0), (1, 0)))
    np.save(case.folder / "tokens.npy", tokens)
    ended = command(*case.words(dataset=str(case.folder / "tokens.npy"), context_size="24"))
    assert ended.code in (0, 2), ended.err
    if ended.code == 2:  # random tokens need not be what the SAEs were fitted to
        assert "of the variance" in ended.errors[0]


def test_a_wrong_setting_is_one_sentence(
    command: Command, monkeypatch: pytest.MonkeyPatch, case: Case
) -> None:
    monkeypatch.setenv("HEAD_ATLAS_PORT", "many")
    ended = command(*case.words())
    assert ended.code == 2
    assert "HEAD_ATLAS_PORT" in ended.errors[0] or "port" in ended.errors[0]


def test_a06_a_full_disk_is_exit_code_4(
    command: Command, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "tokens.raw")

    monkeypatch.setattr(np, "save", full)
    ended = command(*case.words())
    assert ended.code == 4
    assert ended.errors == ["error: no space left on the disk (tokens.raw)"]
    assert not case.store.exists()
