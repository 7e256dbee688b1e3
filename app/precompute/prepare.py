"""Turn a request into a plan: find the model, load the SAEs, tokenise the corpus, choose the processing."""

import hashlib
import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from app.adapters.corpora import Corpus, make_corpus
from app.adapters.corpus_parts import CorpusPart, TextPart
from app.adapters.devices import choose_device
from app.adapters.language_model import LanguageModel, Processing
from app.adapters.model_sources import find_model
from app.adapters.sae_formats import LoadedSae, load_sae
from app.adapters.text_sources import open_text_source
from app.adapters.token_arrays import ArrayPart
from app.adapters.transformer_lens_model import DTYPES
from app.errors import AppError, InvalidCorpus, InvalidModel
from app.paths import file_sha256
from app.precompute.calibration import Fit, choose_processing, measure
from app.precompute.early_checks import check_configs, check_layers
from app.precompute.loaded_run import JobSpec, LayerSae, ModelCopies, Parts
from app.precompute.plan import FORMAT, LoadedChecksums, RunPlan, SaePlan, library_versions
from app.precompute.request import DatasetPlan, JobRequest, make_plan
from app.precompute.smaller_batches import BatchSize, with_smaller_batches
from app.precompute.work_folder import WorkFolder


def prepare(request: JobRequest) -> tuple[JobSpec, Parts]:
    """The plan of a request and its loaded models and SAEs; no row is written yet. Raises AppError."""
    if request.dtype not in DTYPES:
        raise AppError(f"--dtype must be one of {', '.join(DTYPES)}, not {request.dtype!r}")
    request = replace(request, device=choose_device(request.device))
    folder = WorkFolder(request.work_dir / request.slug)
    source = find_model(request.model, request.cache_dir, request.revision)
    check_configs(request, source)
    models = ModelCopies(source, request.device, request.dtype)
    model = models.get(request.processing or "raw")
    loaded = [load_sae(spec, model.record, request.device) for spec in request.saes]
    layers = _kept_layers(request, loaded)
    checksums = models.checksums
    corpus, corpus_folder, datasets = _open_corpus(request, model, folder, checksums.tokenizer)
    saes = [
        SaePlan(sae.layer, sae.name, sae.checksum, _processing(request, sae, models, corpus), sae.identity)
        for sae in loaded
        if sae.layer in layers
    ]
    request = replace(request, context_size=corpus.context_size)  # an array brings its own
    plan = make_plan(
        request,
        saes,
        source.name,
        model.record.revision,
        datasets,
        loaded=LoadedChecksums(
            model_checksum=checksums.model,
            tokenizer_checksum=checksums.tokenizer,
            corpus_checksum=corpus.checksum,
        ),
    )
    plan = _with_fitting_score_length(plan, model)
    pairs = sorted(zip(loaded, request.saes, strict=True), key=lambda pair: pair[0].layer)
    pairs = [pair for pair in pairs if pair[0].layer in layers]
    spec = JobSpec(plan, source, tuple(spec for _, spec in pairs), folder, corpus_folder)
    return spec, Parts(models, tuple(sae for sae, _ in pairs))


def _kept_layers(request: JobRequest, loaded: list[LoadedSae]) -> set[int]:
    layers = {sae.layer for sae in loaded}
    check_layers(request.layers, layers)
    return layers if request.layers is None else set(request.layers)


@dataclass(frozen=True)
class _Dataset:
    """A data set that the request names: how it is named in the plan, and its sequences."""

    plan: DatasetPlan
    part: CorpusPart


def _open_corpus(
    request: JobRequest, model: LanguageModel, folder: WorkFolder, tokenizer: str
) -> tuple[Corpus, Path, list[DatasetPlan]]:
    """The tokenised corpus, its folder, and what it was made from."""
    datasets = [_open_dataset(name, request, model) for name in request.dataset]
    plans = [dataset.plan for dataset in datasets]
    _check_different(plans)
    arrays = [dataset.part for dataset in datasets if isinstance(dataset.part, ArrayPart)]
    context_size = arrays[0].context_size if arrays else request.context_size  # an array brings its own
    _check_context(context_size, model)
    target = _corpus_folder(request, model, folder, plans, tokenizer)
    parts = [dataset.part for dataset in datasets]
    corpus = make_corpus(parts, model.record.bos_token_id, target, context_size, request.n_prompts)
    _check_tokens(corpus, model)
    if not corpus.counted(0, corpus.n_sequences).any():
        raise InvalidCorpus(f"the corpus {corpus.name} has 0 usable tokens")
    return corpus, target, plans


def _open_dataset(name: str, request: JobRequest, model: LanguageModel) -> _Dataset:
    path = Path(name).expanduser()
    if path.suffix == ".npy" and path.is_file():
        pad, identity = _pad_token(request, model), file_sha256(path)
        if pad is not None:
            identity = hashlib.sha256(f"{identity} padded with {pad}".encode()).hexdigest()
        record = model.record
        array = ArrayPart(path, record.bos_token_id, record.d_vocab, request.n_prompts, pad)
        return _Dataset(DatasetPlan(array.name, identity), array)
    source = open_text_source(name, request.text_field)
    return _Dataset(DatasetPlan(source.name, source.identity()), TextPart(source, model.tokenizer))


def _check_different(plans: list[DatasetPlan]) -> None:
    """Raise AppError where two data sets are the same text: all of it would be counted twice."""
    names: dict[str, str] = {}
    for plan in plans:
        if plan.identity in names:
            raise AppError(f"--dataset names the same text twice: {names[plan.identity]} and {plan.name}")
        names[plan.identity] = plan.name


def _check_tokens(corpus: Corpus, model: LanguageModel) -> None:
    """Raise InvalidCorpus for a token that the model does not have: a tokenizer may know more tokens than its model."""
    highest, n_tokens = int(corpus.tokens.max()), model.record.d_vocab
    if highest >= n_tokens:
        raise InvalidCorpus(
            f"the tokenizer of {model.record.name} makes token {highest} of {corpus.name}, and the model has "
            f"tokens 0 to {n_tokens - 1}"
        )


def _pad_token(request: JobRequest, model: LanguageModel) -> int | None:
    """The id that pads a token array: the user's, else the tokenizer's own unless it is BOS, which never counts."""
    own = getattr(model.tokenizer, "pad_token_id", None)
    return own if request.pad_token is None and own != model.record.bos_token_id else request.pad_token


def _corpus_folder(
    request: JobRequest, model: LanguageModel, folder: WorkFolder, datasets: list[DatasetPlan], tokenizer: str
) -> Path:
    """The folder of one tokenisation, named by texts, tokenizer, version and context size."""
    record = model.record
    cut = (request.context_size, request.n_prompts, record.bos_token_id, record.d_vocab)
    texts = [[dataset.name, dataset.identity] for dataset in datasets]
    tokenised = json.dumps([texts, tokenizer, cut, FORMAT, library_versions()])
    return folder.corpus / hashlib.sha256(tokenised.encode()).hexdigest()[:16]


def _check_context(context_size: int, model: LanguageModel) -> None:
    if context_size > model.context_limit:
        raise AppError(
            f"a context of {context_size} tokens is more than {model.record.name} can read "
            f"({model.context_limit}); give a smaller --context-size"
        )


def _processing(request: JobRequest, sae: LoadedSae, models: ModelCopies, corpus: Corpus) -> Processing:
    """The processing that the user or the SAE's metadata names, else the one that fits better.

    Both are tried only if the weights can give different z.
    """
    declared = request.processing or sae.processing
    if declared is not None:
        return declared
    if not models.get("raw").processing_moves_z(sae.layer):
        return "raw"
    n = min(16, corpus.n_sequences)
    tokens, counted = np.asarray(corpus.tokens[:n]).astype(np.int64), corpus.counted(0, n)
    size = BatchSize(request.batch_size, corpus.context_size, request.device)
    fits: list[Fit] = []
    for processing in ("raw", "processed"):
        try:
            model = models.get(processing)
        except InvalidModel:
            if processing == "raw":
                raise
            continue  # the library cannot process this family, so the SAE was not trained on it
        fits.append(
            with_smaller_batches(size, partial(measure, LayerSae.of(sae), model, tokens, counted, size))
        )
    return choose_processing(sae, fits).processing


def _with_fitting_score_length(plan: RunPlan, model: LanguageModel) -> RunPlan:
    """The plan with a score length for which BOS and two copies of distinct random tokens fit the model."""
    special = {*model.tokenizer.special_token_ids, model.record.bos_token_id}
    n_ordinary = model.record.d_vocab - sum(token < model.record.d_vocab for token in special)
    longest = min((model.context_limit - 1) // 2, n_ordinary)
    return replace(plan, score_length=min(plan.score_length, longest))
