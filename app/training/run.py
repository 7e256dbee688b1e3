"""One training run from options to SAE folders: corpora, model, stream, training, quality report."""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from app.adapters.corpora import Corpus, load_pretokenised, tokenise
from app.adapters.devices import choose_device, describe_device
from app.adapters.model_sources import ModelSource
from app.adapters.sae_conversion import convert_sae
from app.adapters.sae_formats import LocalSae, load_sae
from app.adapters.text_files import file_checksum
from app.adapters.text_sources import open_text_source
from app.adapters.transformer_lens_model import DTYPES, TransformerLensModel, load_model
from app.attribution.sae import SparseCoder
from app.domain.options import AUTO
from app.errors import InvalidCorpus
from app.training.activation_stream import ActivationStream, Sequences
from app.training.quality import LayerQuality, quality_report, quality_table, read_report, write_report
from app.training.recipe import InvalidRecipe, Recipe, write_json
from app.training.train import begin, finish, train

CORPUS_FILE = "corpus.json"
_COUNTED_AT_ONCE = 4096
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DatasetRecord:
    """One dataset of a training corpus. n_tokens: counted ones, without BOS and padding."""

    name: str
    identity: str
    n_sequences: int
    n_tokens: int
    n_held_out: int  # sequences


def run_training(
    recipe: Recipe,
    source: ModelSource,
    folder: Path,
    device: str = AUTO,
    say: Callable[[str], None] = log.info,
) -> str:
    """Train the recipe's SAEs into the folder, measure them, and return the table of their quality.

    device: where the model runs and the SAEs are trained; it is no part of the recipe, although last bits depend on it.
    say: is told which device that is, before anything is loaded.

    One folder per layer, with recipe.json, corpus.json, quality.json and quality.md beside them. A stopped run goes
    on, a finished one is only reported. Raises InvalidRecipe when the folder holds a run with other options,
    and AppError for a device that this machine lacks.
    """
    device = choose_device(device)
    begin(recipe, folder)
    done = read_report(folder)
    if done is not None:
        return quality_table(done)
    threads = torch.get_num_threads()
    say(f"training on {describe_device(device)}, {recipe.dtype}, torch threads: {threads}")
    model = load_model(source, recipe.processing, device, DTYPES[recipe.dtype])
    if recipe.context_size > model.context_limit:
        raise InvalidRecipe(
            f"--context-size {recipe.context_size} is more than {recipe.model} can read ({model.context_limit})"
        )
    sequences = gather_sequences(recipe, model, folder)
    train(recipe, model.record, ActivationStream(model, sequences, recipe), folder, device)
    table = write_report(folder, measure(recipe, model, sequences, folder))
    finish(folder)
    return table


def measure(
    recipe: Recipe, model: TransformerLensModel, sequences: Sequences, folder: Path
) -> list[LayerQuality]:
    """The quality of the folder's SAEs, loaded as any other, and of what convert-sae makes of them in 8 bits."""
    saes = _load(recipe, model, folder)
    with TemporaryDirectory() as name:
        for layer in recipe.layers:
            convert_sae(folder / f"layer_{layer}", Path(name) / f"layer_{layer}", "int8")
        in_8_bits = _load(recipe, model, Path(name))
    return quality_report(model, sequences, saes, in_8_bits=in_8_bits)


def _load(recipe: Recipe, model: TransformerLensModel, folder: Path) -> dict[int, SparseCoder]:
    paths = [folder / f"layer_{layer}" for layer in recipe.layers]
    loaded = [load_sae(LocalSae(path), model.record, model.device) for path in paths]
    return {sae.layer: sae.coder for sae in loaded}


def gather_sequences(recipe: Recipe, model: TransformerLensModel, folder: Path) -> Sequences:
    """Tokenise the recipe's datasets into the folder, or open what is there; write down what they are."""
    corpora: list[Corpus] = []
    for number, dataset in enumerate(recipe.datasets):
        corpus = _open(dataset, recipe, model, folder / "corpora" / str(number))
        if corpus.context_size != recipe.context_size:
            raise InvalidCorpus(
                f"{corpus.name} has sequences of {corpus.context_size} tokens, not --context-size "
                f"{recipe.context_size}"
            )
        if not _n_counted(corpus):
            raise InvalidCorpus(f"the corpus {corpus.name} has 0 usable tokens")
        corpora.append(corpus)
    sequences = Sequences(corpora, recipe.held_out_sequences, recipe.seed)
    if not (folder / CORPUS_FILE).is_file():
        write_json(folder / CORPUS_FILE, [asdict(record) for record in _records(recipe, sequences)])
    return sequences


def _open(dataset: str, recipe: Recipe, model: TransformerLensModel, folder: Path) -> Corpus:
    if dataset.endswith(".npy"):
        record = model.record
        path = Path(dataset).expanduser()
        return load_pretokenised(path, folder, record.bos_token_id, record.d_vocab, None)
    return tokenise(open_text_source(dataset), model.tokenizer, folder, recipe.context_size)


def _records(recipe: Recipe, sequences: Sequences) -> list[DatasetRecord]:
    parts = zip(recipe.datasets, sequences.corpora, sequences.n_held_out(), strict=True)
    return [
        DatasetRecord(corpus.name, _identity(dataset), corpus.n_sequences, _n_counted(corpus), n_held_out)
        for dataset, corpus, n_held_out in parts
    ]


def _identity(dataset: str) -> str:
    if dataset.endswith(".npy"):
        return file_checksum(Path(dataset).expanduser())
    return open_text_source(dataset).identity()


def _n_counted(corpus: Corpus) -> int:
    starts = range(0, corpus.n_sequences, _COUNTED_AT_ONCE)
    return sum(int(corpus.counted(start, start + _COUNTED_AT_ONCE).sum()) for start in starts)
