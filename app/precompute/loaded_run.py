"""The models, SAEs and corpus of a plan, as one process loads them to run units."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from app.adapters.corpora import Corpus, open_corpus
from app.adapters.language_model import LanguageModel, Processing
from app.adapters.model_sources import ModelChecksums, ModelSource
from app.adapters.sae_formats import LoadedSae, SaeSpec, load_sae
from app.adapters.transformer_lens_model import DTYPES, load_model
from app.attribution.sae import SparseCoder
from app.domain.records import Json, ModelRecord
from app.errors import InvalidCorpus, InvalidModel, InvalidSae
from app.precompute.layer_workers import Threads, encoding_bytes
from app.precompute.plan import RunPlan
from app.precompute.smaller_batches import BatchSize
from app.precompute.work_folder import WorkFolder


@dataclass(frozen=True)
class JobSpec:
    """A run in a form that any process can load: its plan, and where its model, SAEs and corpus are."""

    plan: RunPlan
    model: ModelSource
    saes: tuple[SaeSpec, ...]  # in the order of plan.saes
    folder: WorkFolder
    corpus_folder: Path


class ModelCopies:
    """A copy of the model for each weight processing, loaded on first use; processing edits the weights."""

    def __init__(
        self, source: ModelSource, device: str, dtype: str, expected: ModelChecksums | None = None
    ) -> None:
        self._source, self._device, self._dtype = source, device, DTYPES[dtype]
        self._loaded: dict[Processing, LanguageModel] = {}
        self._checksums = expected
        self._check = expected is None  # else by the process that made the plan

    def get(self, processing: Processing) -> LanguageModel:
        """The copy under one processing. Raises InvalidModel if its checksums are not those expected."""
        if processing not in self._loaded:
            model = load_model(self._source, processing, self._device, self._dtype, self._check)
            if self._checksums not in (None, model.checksums):
                raise InvalidModel(
                    f"the model {self._source.name} is no longer the one that the run was made with"
                )
            self._checksums = model.checksums
            self._loaded[processing] = model
        return self._loaded[processing]

    @property
    def checksums(self) -> ModelChecksums:
        """The checksums of the model that was loaded, the same for every copy."""
        if self._checksums is None:
            raise ValueError("no copy has been loaded yet")
        return self._checksums

    def keep_only(self, processings: set[Processing]) -> None:
        """Drop the copies with any other weight processing."""
        self._loaded = {name: model for name, model in self._loaded.items() if name in processings}


@dataclass(frozen=True, eq=False)
class LayerSae:
    """One layer's loaded SAE, with encoder columns stored as rows so that what an active pair reads is in one place."""

    layer: int
    loaded: LoadedSae
    read_by_head: Float[Tensor, "n_heads d_head d_sae"]

    @property
    def coder(self) -> SparseCoder:
        """The frozen weights."""
        return self.loaded.coder

    @classmethod
    def of(cls, loaded: LoadedSae) -> "LayerSae":
        coder = loaded.coder
        rows = coder.w_read.T.contiguous().view(coder.d_sae, coder.n_heads, coder.d_head)
        return cls(loaded.layer, loaded, rows.permute(1, 2, 0))


@dataclass(frozen=True, eq=False)
class Parts:
    """Models and SAEs that were loaded to make the plan, so that they need not be loaded again."""

    models: ModelCopies
    saes: tuple[LoadedSae, ...]


class LoadedRun:
    """A plan with its models, SAEs and corpus, each loaded once, when first needed."""

    def __init__(self, spec: JobSpec, parts: Parts | None = None) -> None:
        self.spec, self.plan, self.folder = spec, spec.plan, spec.folder
        plan = spec.plan
        self._models = (
            parts.models
            if parts
            else ModelCopies(spec.model, plan.device, plan.dtype, expected_checksums(plan))
        )
        self._models.keep_only(plan.processings)
        self._loaded = parts.saes if parts else ()
        self.batch = BatchSize(plan.batch_size, plan.context_size, plan.device)
        self.checks: dict[str, Json] = {}  # run_checks.check_run's, where they were made
        torch.set_num_threads(spec.plan.threads)

    def model(self, processing: Processing = "raw") -> LanguageModel:
        """The model with this weight processing."""
        return self._models.get(processing)

    @property
    def any_model(self) -> LanguageModel:
        """A model that the plan needs in any case, to read patterns, which no processing changes."""
        return self.model(self.plan.saes[0].processing if self.plan.saes else "raw")

    @property
    def record(self) -> ModelRecord:
        """The model's sizes."""
        return self.any_model.record

    @cached_property
    def threads(self) -> Threads:
        """How the plan's threads are shared out."""
        plan, n_layers = self.plan, len(self.any_model.attention_layers)
        widest = max((sae.coder.d_sae for sae in self.saes.values()), default=0)
        dense = encoding_bytes(plan.batch_size * plan.context_size, widest)
        return Threads.of(plan.threads, plan.device, len(plan.saes), n_layers, dense)

    @cached_property
    def saes(self) -> dict[int, LayerSae]:
        """Every SAE of the plan, by layer. Raises InvalidSae where one is no longer the plan's."""
        loaded = self._loaded or [load_sae(spec, self.record, self.plan.device) for spec in self.spec.saes]
        by_layer = {sae.layer: sae for sae in loaded}
        for sae in self.plan.saes:
            here = by_layer.get(sae.layer)
            # Plans of earlier formats know the weights alone.
            if here is None or here.checksum != sae.checksum or sae.identity not in ("", here.identity):
                raise InvalidSae(f"the SAE {sae.name} is no longer the one that the run was made with")
        return {sae.layer: LayerSae.of(sae) for sae in loaded}

    @cached_property
    def layers_by_processing(self) -> dict[Processing, list[int]]:
        """Layers by the weight processing that their SAE needs."""
        groups: dict[Processing, list[int]] = {}
        for sae in self.plan.saes:
            groups.setdefault(sae.processing, []).append(sae.layer)
        return {processing: sorted(layers) for processing, layers in groups.items()}

    @cached_property
    def corpus(self) -> Corpus:
        """The tokenised corpus. Raises InvalidCorpus where it is not, or no longer, the plan's."""
        corpus = open_corpus(self.spec.corpus_folder)
        if corpus is None or corpus.checksum != self.plan.corpus_checksum:
            raise InvalidCorpus(f"{self.spec.corpus_folder} is not, or no longer, the corpus of the run")
        return corpus


def expected_checksums(plan: RunPlan) -> ModelChecksums | None:
    """The checksums that the plan's model must have when loaded; None for a plan of a format without them."""
    if not plan.model_checksum:
        return None
    return ModelChecksums(plan.model_checksum, plan.tokenizer_checksum)
