"""The quality report against a slow loop, and at its two ends: a perfect SAE and an empty one."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from app.adapters.transformer_lens_model import TransformerLensModel
from app.attribution.sae import SparseCoder
from app.attribution.sae_steps import NoNorm, ReLU, TopK
from app.training.activation_stream import Sequences
from app.training.quality import LayerQuality, quality_report, quality_table, read_report, write_report
from tests.support.training_runs import sequences_of, small_recipe

pytestmark = pytest.mark.slow

D_IN = 32


def _coder(w_enc: torch.Tensor, w_dec: torch.Tensor, b_dec: torch.Tensor, k: int = 0) -> SparseCoder:
    return SparseCoder(
        architecture="topk" if k else "standard",
        n_heads=4,
        d_head=8,
        w_enc=w_enc,
        w_dec=w_dec,
        b_enc=torch.zeros(w_enc.shape[1]),
        b_dec=b_dec,
        apply_b_dec_to_input=False,
        activation=TopK(k) if k else ReLU(),
        input_norm=NoNorm(),
    )


def _random(k: int = 5, d_sae: int = 48) -> SparseCoder:
    generator = torch.Generator().manual_seed(2)
    w_enc = torch.randn(D_IN, d_sae, generator=generator) / D_IN**0.5
    w_enc[:, 7] = 0  # a dead feature
    return _coder(w_enc, w_enc.T.contiguous() * 0.5, torch.zeros(D_IN), k)


def _perfect() -> SparseCoder:
    both = torch.cat([torch.eye(D_IN), -torch.eye(D_IN)], dim=1)
    return _coder(both, both.T.contiguous(), torch.zeros(D_IN))


def _empty() -> SparseCoder:
    return _coder(torch.zeros(D_IN, 4), torch.zeros(4, D_IN), torch.zeros(D_IN))


@pytest.fixture
def sequences(model: TransformerLensModel, folder: Path) -> Sequences:
    return sequences_of(small_recipe(), model, folder)


def _slowly(
    model: TransformerLensModel, sequences: Sequences, sae: SparseCoder, layer: int
) -> dict[str, float]:
    """One sequence and one token at a time."""
    seen, rebuilt, n_active, losses = [], [], torch.zeros(sae.d_sae), {"clean": [], "sae": [], "zero": []}
    for index in sequences.held_out:
        tokens, counted = (torch.from_numpy(a) for a in sequences.rows(index[None]))
        z = model.hook_z(tokens, [layer])[layer].clone()
        with_sae, with_zero = z.clone(), z.clone()
        for at in range(tokens.shape[1]):
            if counted[0, at]:
                x = z[0, at].reshape(1, -1)
                encoded = sae.encode(x)
                x_hat = sae.decode(encoded.feature_acts, encoded)
                seen.append(x[0].double())
                rebuilt.append(x_hat[0].double())
                n_active += encoded.feature_acts[0] > 0
                with_sae[0, at], with_zero[0, at] = x_hat.view(4, 8), 0
        for kind, put in (("clean", z), ("sae", with_sae), ("zero", with_zero)):
            loss = model.loss(tokens, layer, put)[0]
            losses[kind] += [float(loss[at - 1]) for at in range(1, tokens.shape[1]) if counted[0, at]]
    x, x_hat = torch.stack(seen), torch.stack(rebuilt)
    mean = {kind: sum(values) / len(values) for kind, values in losses.items()}
    return {
        "n_tokens": len(x),
        "fvu": float((x - x_hat).square().sum() / (x - x.mean(0)).square().sum()),
        "l0": float(n_active.sum()) / len(x),
        "dead_share": float((n_active == 0).float().mean()),
        "loss_clean": mean["clean"],
        "loss_sae": mean["sae"],
        "loss_zero": mean["zero"],
        "loss_recovered": (mean["zero"] - mean["sae"]) / (mean["zero"] - mean["clean"]),
    }


@pytest.mark.parametrize("layer", [0, 1])
def test_it_equals_a_slow_loop(model: TransformerLensModel, sequences: Sequences, layer: int) -> None:
    (row,) = quality_report(model, sequences, {layer: _random()})
    assert (row.layer, row.n_loss_tokens) == (layer, row.n_tokens)
    for name, expected in _slowly(model, sequences, _random(), layer).items():
        assert getattr(row, name) == pytest.approx(expected, rel=1e-4, abs=1e-6), name
    assert row.dead_share >= 1 / 48


def test_the_batch_size_and_the_other_layers_change_nothing(
    model: TransformerLensModel, sequences: Sequences
) -> None:
    saes = {1: _random(), 0: _random(k=3)}
    rows = quality_report(model, sequences, saes, batch_size=8)
    assert [row.layer for row in rows] == [0, 1]
    for other in (
        quality_report(model, sequences, saes, batch_size=5),
        quality_report(model, sequences, {1: saes[1]}),
    ):
        for name, value in vars(rows[1]).items():
            expected = value if value is None else pytest.approx(value, rel=1e-5)
            assert getattr(other[-1], name) == expected


def test_losses_are_taken_on_the_first_sequences_only(
    model: TransformerLensModel, sequences: Sequences
) -> None:
    (few,) = quality_report(model, sequences, {0: _random()}, n_loss_sequences=3)
    (all_of_them,) = quality_report(model, sequences, {0: _random()})
    assert few.n_loss_tokens == int(sequences.rows(sequences.held_out[:3])[1].sum())
    assert (few.n_tokens, few.fvu, few.l0) == pytest.approx(
        (all_of_them.n_tokens, all_of_them.fvu, all_of_them.l0)
    )


def test_a_perfect_sae_recovers_everything(model: TransformerLensModel, sequences: Sequences) -> None:
    (row,) = quality_report(model, sequences, {0: _perfect()})
    assert row.fvu == pytest.approx(0, abs=1e-9)
    assert row.loss_sae == pytest.approx(row.loss_clean, abs=1e-6)
    assert row.loss_recovered == pytest.approx(1, abs=1e-4)
    assert row.loss_zero != pytest.approx(row.loss_clean, abs=1e-3)
    assert row.l0 == pytest.approx(D_IN, abs=0.1)


def test_an_empty_sae_recovers_nothing(model: TransformerLensModel, sequences: Sequences) -> None:
    (row,) = quality_report(model, sequences, {0: _empty()})
    assert row.fvu >= 1
    assert (row.l0, row.dead_share, row.loss_recovered) == (0, 1, 0)
    assert row.loss_sae == row.loss_zero


def test_8_bits_are_measured_like_the_weights_as_saved(
    model: TransformerLensModel, sequences: Sequences
) -> None:
    coarse = replace(_random(k=3), w_dec=_random().w_dec * 0.9)
    both, alone = quality_report(model, sequences, {0: _random(), 1: _random()}, in_8_bits={0: coarse})
    (expected,) = quality_report(model, sequences, {0: coarse})
    assert (both.fvu_int8, both.l0_int8) == (expected.fvu, expected.l0)
    assert both.fvu_int8 != both.fvu
    assert (alone.fvu_int8, alone.l0_int8) == (None, None)


ROW = LayerQuality(3, 100, 0.25, 32.0, 0.125, 50, 3.0, 3.1, 4.0, 0.9)


@pytest.mark.parametrize("content", [b"", b"[{", b"7", b'[{"layer": 3}]', b"\xff", None])
def test_a_damaged_report_is_none(
    tmp_path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "quality.json"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    assert read_report(tmp_path) is None
    assert caplog.messages == [f"{path} is damaged, and is made again"]
    write_report(tmp_path, [ROW])
    assert read_report(tmp_path) == [ROW]


def test_the_report_is_written_as_numbers_and_as_a_table(tmp_path: Path) -> None:
    rows = [replace(ROW, fvu_int8=0.2503, l0_int8=31.9), replace(ROW, layer=4, loss_recovered=None)]
    assert read_report(tmp_path) is None
    table = write_report(tmp_path, rows)
    assert read_report(tmp_path) == rows
    assert (tmp_path / "quality.md").read_text() == table == quality_table(rows)
    lines = table.splitlines()
    assert (
        lines[2] == "| 3 | 100 | 0.2500 | 0.2503 | 32.0 | 31.9 | 0.125 | 3.0000 | 3.1000 | 4.0000 | 0.900 |"
    )
    assert lines[3] == "| 4 | 100 | 0.2500 |  | 32.0 |  | 0.125 | 3.0000 | 3.1000 | 4.0000 |  |"
    assert {line.count("|") for line in lines} == {12}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["quality.json", "quality.md"]
