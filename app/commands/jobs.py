"""Long work: the demo, precompute and training."""

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from app.commands.job_beside_server import serve_beside_job
from app.commands.option_groups import with_options
from app.commands.options import (
    Model,
    Port,
    SaeIds,
    SaePaths,
    Store,
    Threads,
    WorkDir,
    parse_layers,
    parse_share,
)
from app.commands.store_access import check_ready, run_server, settings_of, tell
from app.domain.options import AUTO
from app.errors import AppError
from app.extras import need
from app.precompute.plan import DEVICE_HELP, RowOptions
from app.precompute.request import ExecutorOptions, JobRequest, RunOptions, slug_of
from app.training.options import TrainingOptions

if TYPE_CHECKING:
    from app.adapters.sae_sources import SaeSpec


def demo(
    store: Store = None,
    work_dir: WorkDir = None,
    port: Port = None,
    threads: Threads = None,
    layers: Annotated[
        str | None, typer.Option(help="only these layers, which is quicker: 17,18 or 17-18")
    ] = None,
    serve: Annotated[bool, typer.Option(help="serve at once, while the store is being filled")] = True,
) -> None:
    """Serve the embedded default (SmolLM2-135M and its SAEs), and precompute it first if it is not up to date."""
    from app.demo import DemoFolders, demo_plan, demo_request, holds_another_run, is_of
    from app.store.opening import live_plan

    settings = settings_of(store=store, work_dir=work_dir, port=port)
    folders, chosen = DemoFolders(settings.work_dir, settings.cache_dir), parse_layers(layers)
    plan = demo_plan(folders, threads, chosen)
    live = live_plan(settings.store, plan.model, tell)  # makes the store where there is none
    if live is not None and is_of(live.plan, plan):
        typer.echo(f"up to date: atlas {plan.model} shows run {live.fingerprint}")
        if serve:
            gc.collect()  # a server looks at nothing again that was there before it
            run_server(settings)
    elif serve:
        need("precompute", "demo")
        options = {"--threads": threads, "--layers": layers}
        given_words = [
            word for name, value in options.items() if value is not None for word in (name, str(value))
        ]
        where = ["--store", settings.store, "--work-dir", str(settings.work_dir)]
        serve_beside_job(["demo", "--no-serve", *where, *given_words], settings)
    else:
        check_ready("demo", settings, plan.model)
        from app.precompute.job import run_job

        run_options = RunOptions(new_run=holds_another_run(folders, plan))
        typer.echo(run_job(demo_request(folders, threads, chosen), settings.store, run_options))


@with_options
def precompute(
    *,
    model: Model,
    sae_path: SaePaths = None,
    release: Annotated[str | None, typer.Option(help="SAE release of the sae_lens registry")] = None,
    sae_id: SaeIds = None,
    normalize_factor: Annotated[
        float | None, typer.Option(help="input scale of a local expected_average_only_in SAE")
    ] = None,
    store: Store = None,
    work_dir: WorkDir = None,
    name: Annotated[
        str | None, typer.Option(help="the atlas's name in URLs; by default made from the model's name")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="revision of a hub model")] = None,
    layers: Annotated[str | None, typer.Option(help="only these layers: 5,6 or 5-7")] = None,
    text_field: Annotated[
        str, typer.Option(help="column of a JSONL, Parquet or Arrow file or hub dataset")
    ] = "text",
    pad_token: Annotated[
        int | None, typer.Option(help="token id that pads the rows of a .npy at their end; -1: no padding")
    ] = None,
    options: RowOptions,
    processing: Annotated[
        Literal["auto", "raw", "processed"], typer.Option(help="weight processing the SAEs were trained on")
    ] = "auto",
    execution: ExecutorOptions,
    shard: Annotated[
        str | None, typer.Option(help="i/N: compute only share i (0 to N - 1) of the job, and do not publish")
    ] = None,
    new_run: Annotated[
        bool, typer.Option("--new-run", help="discard what another run left in the work folder")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="only print what memory, disk and time the job will take")
    ] = False,
) -> None:
    """Run a model over a corpus, with SAEs or without, and fill a store. A stopped job resumes where it was."""
    settings = settings_of(store=store, work_dir=work_dir)
    execution.check()
    check_ready("precompute", settings, slug_of(model, name))
    from app.precompute.job import run_job

    request = JobRequest(
        model=model, saes=_sae_specs(sae_path, release, sae_id, normalize_factor), work_dir=settings.work_dir,
        cache_dir=settings.cache_dir, name=name, revision=revision, layers=parse_layers(layers),
        text_field=text_field, pad_token=pad_token, processing=None if processing == "auto" else processing,
        **vars(options),
    )  # fmt: skip
    if plan:
        from app.precompute.planner import plan_text

        typer.echo(plan_text(request))
        return
    run_options = RunOptions(**vars(execution), new_run=new_run, shard=parse_share(shard))
    typer.echo(run_job(request, settings.store, run_options))


def _sae_specs(
    paths: list[Path] | None, release: str | None, ids: list[str] | None, normalize_factor: float | None
) -> "tuple[SaeSpec, ...]":
    """The SAEs that the options name; none is an atlas of heads without features."""
    from app.adapters.sae_formats import parse_neuronpedia_id
    from app.adapters.sae_sources import LocalSae, ReleaseSae

    if release and not ids:
        raise AppError(f"--release {release} needs --sae-id, once for each SAE")
    local: list[SaeSpec] = [LocalSae(path, normalize_factor) for path in paths or []]
    named = [ReleaseSae(release, each) if release else parse_neuronpedia_id(each) for each in ids or []]
    return (*local, *named)


@with_options
def train_sae(
    *,
    model: Model,
    layers: Annotated[str, typer.Option(help="layers to train on, in one pass: 5,6 or 5-7")],
    dataset: Annotated[list[str], typer.Option(help="as for head-atlas precompute; repeatable")],
    out: Annotated[Path, typer.Option(help="folder for the SAEs; a stopped run in it resumes")],
    device: Annotated[str, typer.Option(help=DEVICE_HELP)] = AUTO,
    options: TrainingOptions,
) -> None:
    """Train attention SAEs on hook_z of several layers, and report their quality on held-out text."""
    need("precompute", "train-sae")
    from app.adapters.model_sources import find_model
    from app.training.recipe import Recipe
    from app.training.run import run_training

    source = find_model(model, settings_of().cache_dir)
    recipe = Recipe(
        model=source.name,
        model_revision=source.identity,
        layers=parse_layers(layers) or (),
        datasets=tuple(dataset),
        **vars(options),
    )
    typer.echo(run_training(recipe, source, out, device, tell))
