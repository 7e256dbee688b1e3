"""A tokenizer may make tokens that its model does not have: whoever reads text says so, in one sentence."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from app.adapters.interventions import InterventionModel
from app.adapters.model_sources import find_model
from app.adapters.transformer_lens_model import load_model
from app.errors import InvalidModel
from app.precompute.prompt_numbers import UnfitText, read_tokens
from tests.support.model_families import save_family

TEXT = "Zürich ~~ the cat"  # in the byte-level tokenizer of the tests up to token 290


def test_text_with_tokens_that_the_model_lacks_is_refused(tmp_path: Path) -> None:
    model = load_model(find_model(str(save_family("llama", tmp_path / "tiny", vocab_size=200)), tmp_path))
    ids = model.tokenizer.encode(TEXT)
    assert max(ids) >= 200
    tokens, changed = torch.tensor([ids]), InterventionModel.of(model)
    sentence = f"^the text has token {max(ids)} by the tokenizer of tiny, and the model has tokens 0 to 199$"
    for run in (
        lambda: model.activations(tokens, [1]),
        lambda: model.hook_z(tokens, [1]),
        lambda: model.patterns(tokens),
        lambda: model.loss(tokens),
        lambda: changed.logits(tokens),
        lambda: changed.run_with_z(tokens, []),
    ):
        with pytest.raises(InvalidModel, match=sentence):
            run()
    loaded: Any = SimpleNamespace(any_model=model, plan=SimpleNamespace(context_size=64))
    with pytest.raises(
        UnfitText, match=f"^the text has token {max(ids)}, and the model has tokens 0 to 199$"
    ):
        read_tokens(loaded, TEXT)
    assert model.loss(torch.tensor([[0, 5, 7]])).shape == (1, 2)
