"""The DFA identity is checked before any unit: a model with a gate between z and A v makes no atlas."""

from pathlib import Path

import pytest
import torch
from starlette.testclient import TestClient
from torch import einsum

from app.adapters.language_model import LayerActivations
from app.errors import InvalidModel
from app.precompute.run_checks import mixing_error
from app.services.examples.from_records import checks_in_words
from app.store.atlas.reads import get_heads
from app.store.database.engine import read_session
from tests.support.model_families import save_family
from tests.support.serving import served
from tests.support.tiny_jobs import PublishedAtlas, Tiny, fitting_sae, run, write_text, z_of


def test_the_error_is_relative_to_z() -> None:
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(2, 6, 3, 4, generator=generator)
    pattern = torch.randn(2, 3, 6, 6, generator=generator).softmax(-1)
    z = einsum("bhds,bshe->bdhe", pattern, v)
    assert mixing_error(LayerActivations(z, v, pattern)) < 1e-6
    assert mixing_error(LayerActivations(z * 2, v, pattern)) == pytest.approx(0.5)
    assert mixing_error(LayerActivations(z * torch.nan, v, pattern)) == torch.inf


def test_checks_are_said_in_a_line() -> None:
    assert checks_in_words(None) is None
    checks = {"dfa": 2e-07, "withheld": {}, "raw": {"logits": 0.0, "z": 3e-07, "pattern": None}}
    assert checks_in_words(checks) == "model as in transformers to 3e-07, z = A·v to 2e-07"
    assert (
        checks_in_words({"dfa": 0.0, "withheld": {"L1": "a reason"}})
        == "z = A·v to 0e+00, logit effects withheld"
    )


def _tiny(family: str, root: Path) -> Tiny:
    folder, text = save_family(family, root / family), write_text(root / "corpus.txt")
    return Tiny(root, folder, (fitting_sae(root / "sae", z_of(folder, text, 1, "raw"), 1),), text)


def test_a_gate_between_values_and_z_stops_the_run(tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    with pytest.raises(
        InvalidModel, match="^hook_z of layer 1 of qwen3_next is not its pattern times its values"
    ):
        run(_tiny("qwen3_next", tmp_path), str(store), processing="raw")
    assert not store.exists()


@pytest.mark.parametrize("family", ["openai-gpt", "lfm2"])
def test_checks_stand_in_the_record_and_what_is_not_known_is_withheld(family: str, tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    run(_tiny(family, tmp_path), str(store), processing="raw")
    published = PublishedAtlas.open(str(store))
    checks = published.run.record.plan["checks"]
    assert isinstance(checks, dict)
    assert float(str(checks["dfa"])) < 1e-6
    assert isinstance(checks["raw"], dict)
    is_withheld = family == "openai-gpt"
    assert (checks["withheld"] != {}) == is_withheld
    for record in published.features(1):
        assert len(record.promoted.token_id) == (0 if is_withheld else 20)
        assert (record.top_logit is None) == is_withheld
    with read_session(published.engine) as session:
        heads = get_heads(session, published.run)
    assert {head.ref.layer for head in heads} == ({0, 1, 2} if is_withheld else {1, 2})
    assert all(("copying" in head.scores) != is_withheld for head in heads)


def test_pages_say_why_logit_effects_are_withheld(tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    run(_tiny("openai-gpt", tmp_path), str(store), processing="raw", n_prompts=4)
    feature = PublishedAtlas.open(str(store)).features(1)[0].ref
    reason = "its blocks are not a chain from embedding to final norm"
    with TestClient(served(str(store))) as client:
        for page in (f"/tiny/features/{feature}", "/tiny/heads/L1H1"):
            text = " ".join(client.get(page).text.split())
            assert text.count(f"Withheld for this model: {reason}.") == 1
            summary = client.get(f"{page}.json").json()["run"]
            assert summary["withheld"] == {"L1": reason}
