"""The reproduction end to end on a stand-in of GPT-2 small: the release's files, 12 x 12 heads, random weights."""

import sys
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

import app.cli
from app.adapters.model_sources import find_model
from app.adapters.sae_formats import resolve
from app.adapters.transformer_lens_model import load_model
from app.domain.refs import HeadRef
from app.store import experiments
from app.store.database.engine import open_store, read_session
from app.studies.anchors import LARGEST_SHARE, SAE_LAYERS, largest_share
from app.studies.reproduce import RELEASE
from tests.support import tiny_models
from tests.support.tiny_jobs import principal_weights, write_text

pytestmark = pytest.mark.slow

N, D_HEAD = 12, 4
D_IN = N * D_HEAD
CONTEXT = 96
SMALL, LARGE = 2 * D_IN + 4, 49_152  # the layer of the first figure has the released width


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model, a corpus, and a hub cache with the release."""
    root = tmp_path_factory.mktemp("reproduce")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny_models, "CONTEXT", CONTEXT)
        model = tiny_models.save_tiny_gpt2(root / "gpt2", n_layers=N, n_heads=N, d_head=D_HEAD)
    text = write_text(root / "text.txt", 200)
    loaded = load_model(find_model(str(model), root), "processed")
    ids = loaded.tokenizer.encode(text.read_text())
    rows = [[loaded.tokenizer.bos_token_id, *ids[i * 40 : (i + 1) * 40]] for i in range(40)]
    z = loaded.hook_z(torch.tensor(rows), list(SAE_LAYERS))
    for layer in SAE_LAYERS:
        d_sae = LARGE if layer == LARGEST_SHARE[0].layer else SMALL
        weights = principal_weights(z[layer][:, 1:].flatten(0, 1).flatten(1), d_sae, subtracts=True)
        if d_sae == LARGE:
            _plant(weights["W_dec"])
        _put(root / "hub", layer, weights)
    return root


def _plant(w_dec: torch.Tensor) -> None:
    """A silent feature with the published share, and no other that is as large."""
    head, feature, share = LARGEST_SHARE
    w_dec[feature.index] = (1 - share) / (N - 1) / D_HEAD**0.5
    w_dec[feature.index].view(N, D_HEAD)[head.head] = share / D_HEAD**0.5
    norms = w_dec.view(len(w_dec), N, D_HEAD).norm(dim=-1)
    larger = norms[:, head.head] / norms.sum(-1).clamp(min=1e-9) > share + 1e-6
    assert not larger.any()


def _put(hub: Path, layer: int, weights: dict[str, torch.Tensor]) -> None:
    """As the release's repository lays out one SAE, in a hub cache."""
    found = resolve(RELEASE, f"blocks.{layer}.hook_z")
    repo = hub / ("models--" + found.repo_id.replace("/", "--"))
    snapshot = repo / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True, exist_ok=True)
    (repo / "refs").mkdir(exist_ok=True)
    (repo / "refs" / "main").write_text("0" * 40)
    torch.save({name: value.clone().contiguous() for name, value in weights.items()}, snapshot / found.path)
    d_in, d_sae = weights["W_enc"].shape
    config = {"act_size": d_in, "dict_size": d_sae, "act_name": f"blocks.{layer}.attn.hook_z"}
    (snapshot / found.path.replace(".pt", "_cfg.json")).write_text(str(config).replace("'", '"'))


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stand_in: Path):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(stand_in / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["head-atlas", "reproduce", *words])
        with pytest.raises(SystemExit) as ended:
            app.cli.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call


def words(stand_in: Path, store: Path) -> list[str]:
    return [
        *("--model", str(stand_in / "gpt2"), "--dataset", str(stand_in / "text.txt")),
        *("--store", str(store), "--work-dir", str(store.parent / "work")),
        *("--n-prompts", "12", "--context-size", "41", "--n-task-prompts", "4", "--n-examples", "4"),
        *("--n-sequences", "8", "--threads", "1"),
    ]


def test_every_figure_is_measured_and_printed_beside_the_published_one(
    command, stand_in: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store.sqlite"
    code, out, err = command(*words(stand_in, store))
    assert code == 0, err
    lines = out.splitlines()
    named = [line for line in lines if line.endswith(("agrees", "differs"))]
    figures = (
        "largest decoder weight share of L7H9", "decoder weight against FVE for L4H5",
        "decoder weight against FVE for L8H5", "induction features among the top ten of L6H9",
        "zero ablation of L10H2, noun-digit", "zero ablation of L10H2, short-urls",
        "attention gained at one token", "logit of the correct token", "share of prefixes of two or more",
        "attention of L5H1 cut", "attention of L5H5 cut", "verdict on L5H1", "verdict on L5H5",
        "known heads: induction", "known heads: previous token", "known heads: copy suppression",
        "known heads: duplicate token", "known heads: successor",
    )  # fmt: skip
    assert len(named) == len(figures)
    for line, figure in zip(named, figures, strict=True):
        assert line.startswith(figure)
    assert "0.49, L7F29342" in named[0].split("  ", 1)[1]
    assert named[0].endswith("agrees")
    # Random weights are no GPT-2: what needs trained heads cannot agree.
    assert all(line.endswith("differs") for line in named if "verdict" in line or "known heads" in line)
    engine = open_store(store)
    with read_session(engine) as session:
        stored = experiments.list_experiments(session, "gpt2")
        found = experiments.findings_of(session, "gpt2", HeadRef(5, 1))
    engine.dispose()
    assert sorted(one.request.name for one in stored) == [
        "head-ablation", "known-heads", "long-prefix-induction", "weight-vs-fve", "weight-vs-fve",
    ]  # fmt: skip
    assert {one.request.processing for one in stored} == {"processed", "none"}
    assert any(one.finding.startswith("neither") for one in found)
    again = command(*words(stand_in, store))
    assert again[1] == out


def test_without_the_release_or_the_right_shape_it_says_so(
    command, stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store.sqlite"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "empty"))
    code, _, err = command(*words(stand_in, store))
    assert code != 0
    assert "ckkissane/attn-saes-gpt2-small-all-layers" in err
    assert "Traceback" not in err
    assert not store.exists()


def test_the_first_figure_needs_value_and_feature() -> None:
    shares = [0.1] * 29_343
    assert not largest_share(shares).agrees
    shares[29_342] = 0.494
    assert largest_share(shares).agrees
    shares[29_342] = 0.5
    assert not largest_share(shares).agrees
    shares[5] = 0.6
    assert largest_share(shares).measured == "0.60, L7F5"
