"""Train attention SAEs for several layers in one pass over the activations, with sae_lens's trainer.

Resumable: a checkpoint holds weights, optimiser and schedulers; the position in the data follows from the number of
steps, because the activation stream is a function of it.
"""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from app.adapters.sae_config import PROCESSING_KEY
from app.adapters.sae_formats import LocalSae, load_sae  # first: it imports sae_lens without its warnings
from app.adapters.sae_sources import CONFIG_FILE, WEIGHTS_FILE
from app.adapters.sealed_folders import seal_folder, whole_folder
from app.domain.records import ModelRecord
from app.paths import remove
from app.training.activation_stream import ActivationStream, hook_name
from app.training.recipe import Recipe, write_json

_DEAD_AFTER_STEPS = 200  # must stay below the number of steps, or no dead feature is ever revived
_N_CHECKPOINTS = 8
_POSITION_FILE = "position.json"
_MANIFEST = "checksums.json"
log = logging.getLogger(__name__)


def train(
    recipe: Recipe, model: ModelRecord, stream: ActivationStream, folder: Path, device: str = "cpu"
) -> list[Path]:
    """Train on the device, or go on from the newest checkpoint in the folder. Returns one inference folder per layer.

    Trains nothing where all of them are there. Raises InvalidRecipe when the folder holds a run with other
    options.
    """
    begin(recipe, folder)
    folders = [folder / f"layer_{layer}" for layer in recipe.layers]
    if all((path / WEIGHTS_FILE).is_file() for path in folders):
        return folders
    torch.manual_seed(recipe.seed)
    trainer = _make_trainer(recipe, model, stream, folder / "checkpoints", device)
    newest = _newest_checkpoint(folder / "checkpoints", recipe)
    if newest is not None:
        _go_on(trainer, stream, newest, recipe)
    saes = trainer.fit()
    for layer, path in zip(recipe.layers, folders, strict=True):
        _save_half(saes[str(layer)], path)
        load_sae(LocalSae(path), model)  # what was written can be used
    return folders


def begin(recipe: Recipe, folder: Path) -> None:
    """Write the recipe. Raises InvalidRecipe when the folder holds a run with other options."""
    started = Recipe.load(folder)
    if started is not None:
        recipe.require_same(started)
    recipe.save(folder)


def finish(folder: Path) -> None:
    """Remove the checkpoints of a finished run."""
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)


def _go_on(trainer: Any, stream: ActivationStream, checkpoint: Path, recipe: Recipe) -> None:
    trainer.load_checkpoint(checkpoint)
    # A checkpoint is written before its own step is counted.
    n_steps = trainer.n_training_samples // recipe.batch_tokens
    for each in (trainer, *trainer.trainers.values()):
        each.n_training_steps = n_steps
    facts = whole_folder(checkpoint, _MANIFEST) or {}
    stream.position = int(facts.get("position") or json.loads((checkpoint / _POSITION_FILE).read_text()))
    trainer.checkpoint_thresholds = [
        at for at in trainer.checkpoint_thresholds if at > trainer.n_training_samples
    ]
    log.info("resumed at %d of %d tokens", trainer.n_training_samples, recipe.n_tokens)


def _make_trainer(
    recipe: Recipe, model: ModelRecord, stream: ActivationStream, checkpoints: Path, device: str
) -> Any:
    from sae_lens.config import LoggingConfig, SAETrainerConfig
    from sae_lens.training.multi_sae_trainer import MultiSAETrainer

    def save_position(checkpoint_path: Path | None) -> None:
        if checkpoint_path is not None:
            seal_folder(checkpoint_path, _MANIFEST, {"position": stream.position})
            # Written last: a checkpoint without it is incomplete.
            write_json(checkpoint_path / _POSITION_FILE, stream.position)
            _drop_older(checkpoints, checkpoint_path)

    cfg = SAETrainerConfig(
        total_training_samples=recipe.n_steps * recipe.batch_tokens,
        train_batch_size_samples=recipe.batch_tokens,
        lr=recipe.lr,
        autocast=recipe.dtype == "bfloat16",
        lr_end=0.0,
        lr_warm_up_steps=max(1, recipe.n_steps // 20),
        lr_decay_steps=recipe.n_steps // 3,
        device=device,
        dead_feature_window=min(_DEAD_AFTER_STEPS, max(1, recipe.n_steps // 4)),
        feature_sampling_window=max(2, recipe.n_steps // 4),
        n_checkpoints=_N_CHECKPOINTS,
        checkpoint_path=str(checkpoints),
        logger=LoggingConfig(log_to_wandb=False),
        n_batches_for_norm_estimate=8,
    )
    return MultiSAETrainer(
        cfg=cfg,
        saes={str(layer): _new_sae(recipe, model, layer, device) for layer in recipe.layers},
        hook_names={str(layer): hook_name(layer) for layer in recipe.layers},
        data_provider=stream,
        save_checkpoint_fn=save_position,  # pyright: ignore[reportArgumentType]
    )


def _new_sae(recipe: Recipe, model: ModelRecord, layer: int, device: str) -> Any:
    from sae_lens import (
        StandardTrainingSAE,
        StandardTrainingSAEConfig,
        TopKTrainingSAE,
        TopKTrainingSAEConfig,
    )
    from sae_lens.saes.sae import SAEMetadata

    metadata = SAEMetadata(
        model_name=model.name,
        model_revision=model.revision,
        hook_name=hook_name(layer),
        hook_head_index=None,
        n_heads=model.n_heads,
        d_head=model.d_head,
        prepend_bos=True,
        context_size=recipe.context_size,
        **{PROCESSING_KEY: recipe.processing},
        training_tokens=recipe.n_tokens,
    )
    shared: dict[str, Any] = {
        "d_in": model.n_heads * model.d_head,
        "d_sae": recipe.d_sae,
        "dtype": "float32",
        "device": device,
        "normalize_activations": "expected_average_only_in",  # folded into the weights at the end
        "reshape_activations": "hook_z",
        "metadata": metadata,
    }
    if recipe.kind == "topk":
        return _flat_input(TopKTrainingSAE(TopKTrainingSAEConfig(k=recipe.k, **shared)))
    warm_up = recipe.n_steps // 5
    return _flat_input(
        StandardTrainingSAE(
            StandardTrainingSAEConfig(
                l1_coefficient=recipe.l1_coefficient, l1_warm_up_steps=warm_up, **shared
            )
        )
    )


def _flat_input(sae: Any) -> Any:
    """Keep sae_lens from flattening the heads: the stream is [token, d_in] already, not [token, n_heads, d_head]."""
    sae.turn_off_forward_pass_hook_z_reshaping()
    return sae


def _newest_checkpoint(checkpoints: Path, recipe: Recipe) -> Path | None:
    complete = [path.parent for path in checkpoints.glob(f"*/{_POSITION_FILE}")]
    complete = [path for path in complete if all((path / str(layer)).is_dir() for layer in recipe.layers)]
    complete = [path for path in complete if _is_whole(path)]
    return max(complete, key=lambda path: int(path.name), default=None)


def _is_whole(checkpoint: Path) -> bool:
    """Whether every file is as it was written. Checkpoints of version 0.2 and earlier do not tell."""
    if not (checkpoint / _MANIFEST).exists():
        return True
    return whole_folder(checkpoint, _MANIFEST, "the checkpoint is left out") is not None


def _drop_older(checkpoints: Path, newest: Path) -> None:
    for path in checkpoints.iterdir():
        if path.is_dir() and path != newest:
            shutil.rmtree(path)


def _save_half(sae: Any, folder: Path) -> None:
    """The inference model with 16-bit weights: half the size, and what the quality report measures.

    The folder is there whole or not at all.
    """
    scratch = folder.with_name(f"{folder.name}.tmp")
    remove(scratch)
    sae.save_inference_model(str(scratch))
    weights = load_file(scratch / WEIGHTS_FILE)
    save_file({name: tensor.half().contiguous() for name, tensor in weights.items()}, scratch / WEIGHTS_FILE)
    config = json.loads((scratch / CONFIG_FILE).read_text())
    write_json(scratch / CONFIG_FILE, config | {"device": "cpu"})
    shutil.rmtree(folder, ignore_errors=True)
    scratch.rename(folder)
