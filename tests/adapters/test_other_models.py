"""Folders of models that are no language models, or lack a part: each is refused in one true sentence."""

from pathlib import Path
from typing import Any

import pytest
import transformers

from app.adapters.model_sources import find_model
from app.adapters.transformer_lens_model import load_model
from app.errors import InvalidModel
from tests.support.tiny_models import byte_level_tokenizer

IMAGES: dict[str, Any] = {"image_size": 28, "patch_size": 14}
SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
SOUND: dict[str, Any] = {
    "conv_dim": [8, 8],
    "conv_stride": [2, 2],
    "conv_kernel": [2, 2],
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
}
TEXT: dict[str, Any] = {"vocab_size": 320, "bos_token_id": 0, "eos_token_id": 1}


def _save(name: str, config: Any, folder: Path) -> Path:
    getattr(transformers, name)(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("ViTModel", transformers.ViTConfig(**SMALL, **IMAGES)),
        ("ViTForImageClassification", transformers.ViTConfig(**SMALL, **IMAGES)),
        ("DeiTModel", transformers.DeiTConfig(**SMALL, **IMAGES)),
        ("HubertModel", transformers.HubertConfig(**SMALL, **SOUND)),
        ("ASTForAudioClassification", transformers.ASTConfig(**SMALL, num_mel_bins=16, max_length=32)),
    ],
)
@pytest.mark.parametrize("processing", ["raw", "processed"])
def test_a_model_of_images_or_sound_is_refused(
    name: str, config: Any, processing: Any, tmp_path: Path
) -> None:
    folder = _save(name, config, tmp_path / "tiny")
    with pytest.raises(
        InvalidModel, match="^tiny is no language model: it has no tokenizer, and Head Atlas reads text$"
    ):
        load_model(find_model(str(folder), tmp_path), processing)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("CLIPVisionModel", transformers.CLIPVisionConfig(**SMALL, **IMAGES)),
        ("MPNetModel", transformers.MPNetConfig(**SMALL, vocab_size=320)),
        ("RobertaForMaskedLM", transformers.RobertaConfig(**SMALL, vocab_size=320)),
    ],
)
def test_an_architecture_that_the_library_lacks_is_named(name: str, config: Any, tmp_path: Path) -> None:
    folder = _save(name, config, tmp_path / "tiny")
    byte_level_tokenizer().save_pretrained(folder)
    with pytest.raises(InvalidModel, match=rf"^TransformerLens, .*, has no {name} \(tiny\)$"):
        load_model(find_model(str(folder), tmp_path))


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("GPT2LMHeadModel", transformers.GPT2Config(n_embd=16, n_layer=2, n_head=2, **TEXT)),
        ("Qwen2ForCausalLM", transformers.Qwen2Config(**SMALL, **TEXT, num_key_value_heads=2)),
        ("Gemma2ForCausalLM", transformers.Gemma2Config(**SMALL, **TEXT, num_key_value_heads=2, head_dim=8)),
    ],
)
def test_a_model_without_its_tokenizer_is_refused(name: str, config: Any, tmp_path: Path) -> None:
    folder = _save(name, config, tmp_path / "tiny")
    with pytest.raises(InvalidModel, match="the tokenizer of tiny has no token for text: its own files"):
        load_model(find_model(str(folder), tmp_path))


def test_the_headless_part_of_a_model_is_refused_by_what_it_lacks(tmp_path: Path) -> None:
    folder = _save("LlamaModel", transformers.LlamaConfig(**SMALL, vocab_size=320), tmp_path / "tiny")
    byte_level_tokenizer().save_pretrained(folder)
    with pytest.raises(InvalidModel, match=r"its weights lack lm_head\.weight"):
        load_model(find_model(str(folder), tmp_path))
