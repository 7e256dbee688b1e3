"""The commands. Model libraries are imported inside the commands that need them."""

import errno
import shlex
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Literal, NoReturn

import typer
from pydantic import ValidationError

from app.command_options import (
    Dataset,
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
from app.errors import AppError, OutOfSpace
from app.settings import Settings

DESCRIPTION = "Every attention head of a language model, seen through sparse autoencoder features."

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, help=DESCRIPTION
)
db = typer.Typer(no_args_is_help=True, help="Look after a store.")
app.add_typer(db, name="db")


@app.command()
def demo(
    store: Store = None,
    work_dir: WorkDir = None,
    port: Port = None,
    threads: Threads = None,
    serve: Annotated[bool, typer.Option(help="serve when the store is ready")] = True,
) -> None:
    """Precompute the embedded default (SmolLM2-135M and its SAEs) if it is not up to date, and serve it."""
    from app.demo import DemoFolders, demo_plan, demo_request, holds_another_run

    settings = _settings(store=store, work_dir=work_dir, port=port)
    folders = DemoFolders(settings.work_dir, settings.cache_dir)
    plan = demo_plan(folders, threads)
    if _live_fingerprint(settings.store, plan.model) == plan.fingerprint:
        typer.echo(f"up to date: atlas {plan.model} shows run {plan.fingerprint}")
    else:
        from app.precompute.job import HowToRun, run_job

        how = HowToRun(new_run=holds_another_run(folders, plan))
        typer.echo(run_job(demo_request(folders, threads), settings.store, how))
    if serve:
        _serve(settings)


@app.command()
def precompute(
    model: Model,
    dataset: Dataset,
    sae_path: SaePaths = None,
    release: Annotated[str | None, typer.Option(help="SAE release of the sae_lens registry")] = None,
    sae_id: SaeIds = None,
    normalize_factor: Annotated[
        float | None, typer.Option(help="input scale of a local expected_average_only_in SAE")
    ] = None,
    store: Store = None,
    work_dir: WorkDir = None,
    name: Annotated[
        str | None, typer.Option(help="the atlas's name in addresses; default from the model")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="revision of a hub model")] = None,
    layers: Annotated[str | None, typer.Option(help="only these layers: 5,6 or 5-7")] = None,
    text_field: Annotated[str, typer.Option(help="column of a JSONL file or hub dataset")] = "text",
    context_size: Annotated[int, typer.Option(min=4, help="positions in a sequence, BOS included")] = 128,
    n_prompts: Annotated[int | None, typer.Option(min=1, help="at most so many sequences")] = None,
    features: Annotated[
        Literal["top", "all"], typer.Option(help="top: each head's top k by either ranking")
    ] = "top",
    k: Annotated[int, typer.Option(min=1, help="features kept per head and ranking")] = 20,
    min_active: Annotated[
        int, typer.Option(min=1, help="active tokens that a feature needs to be ranked")
    ] = 10,
    batch_size: Annotated[int, typer.Option(min=1, help="sequences in a forward pass")] = 16,
    shard_size: Annotated[int, typer.Option(min=1, help="sequences in a shard, the unit of resuming")] = 64,
    dtype: Annotated[Literal["float32", "bfloat16", "float16"], typer.Option()] = "float32",
    device: Annotated[str, typer.Option()] = "cpu",
    seed: Annotated[int, typer.Option()] = 0,
    threads: Threads = None,
    processing: Annotated[
        Literal["auto", "raw", "processed"], typer.Option(help="weight processing the SAEs were trained on")
    ] = "auto",
    executor: Annotated[Literal["serial", "processes"], typer.Option()] = "serial",
    workers: Annotated[int, typer.Option(min=1)] = 2,
    shard: Annotated[
        str | None, typer.Option(help="i/N: compute only share i of N, and do not publish")
    ] = None,
    new_run: Annotated[
        bool, typer.Option("--new-run", help="drop another run's partials from the work folder")
    ] = False,
) -> None:
    """Run a model and its SAEs over a corpus, and fill a store. A killed job goes on where it was."""
    from app.adapters.sae_formats import parse_neuronpedia_id
    from app.adapters.sae_sources import LocalSae, ReleaseSae
    from app.precompute.job import HowToRun, run_job
    from app.precompute.request import JobRequest

    settings = _settings(store=store, work_dir=work_dir)
    specs: list[Any] = [LocalSae(path, normalize_factor) for path in sae_path or []]
    for each in sae_id or []:
        specs.append(ReleaseSae(release, each) if release else parse_neuronpedia_id(each))
    if release and not sae_id:
        raise AppError(f"--release {release} needs --sae-id, once for each SAE")
    if not specs:
        raise AppError("no SAE was given: use --sae-path, or --release with --sae-id")
    options = {} if threads is None else {"threads": threads}
    request = JobRequest(
        model=model, saes=tuple(specs), dataset=dataset, work_dir=settings.work_dir, cache_dir=settings.cache_dir,
        name=name, revision=revision, layers=parse_layers(layers), text_field=text_field, context_size=context_size,
        n_prompts=n_prompts, features=features, k=k, min_active=min_active, batch_size=batch_size,
        shard_size=shard_size, dtype=dtype, device=device, seed=seed,
        processing=None if processing == "auto" else processing, **options,
    )  # fmt: skip
    how = HowToRun(executor=executor, workers=workers, new_run=new_run, shard=parse_share(shard))
    typer.echo(run_job(request, settings.store, how))


@app.command("train-sae")
def train_sae(
    model: Model,
    layers: Annotated[str, typer.Option(help="layers to train on, in one pass: 5,6 or 5-7")],
    dataset: Annotated[list[str], typer.Option(help="as for precompute; repeatable")],
    out: Annotated[Path, typer.Option(help="folder for the SAEs; a run in it goes on")],
    kind: Annotated[Literal["topk", "standard"], typer.Option()] = "topk",
    d_sae: Annotated[int, typer.Option(min=1)] = 2304,
    k: Annotated[int, typer.Option(min=1, help="active features a token (topk)")] = 32,
    l1_coefficient: Annotated[float, typer.Option(help="sparsity weight (standard)")] = 5.0,
    n_tokens: Annotated[int, typer.Option(min=1)] = 2_000_000,
    context_size: Annotated[int, typer.Option(min=4)] = 128,
    lr: Annotated[float, typer.Option()] = 7e-4,
    dtype: Annotated[
        Literal["float32", "bfloat16"], typer.Option(help="of the forward pass and products")
    ] = "float32",
    processing: Annotated[Literal["raw", "processed"], typer.Option()] = "raw",
    held_out: Annotated[int, typer.Option(min=1, help="sequences held out for the quality report")] = 256,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Train attention SAEs on hook_z of several layers, and report their quality on held-out text."""
    from app.adapters.model_sources import find_model
    from app.training.recipe import Recipe
    from app.training.run import run_training

    source = find_model(model, _settings().cache_dir)
    recipe = Recipe(
        model=source.name, model_revision=source.identity, layers=parse_layers(layers) or (),
        datasets=tuple(dataset), kind=kind, d_sae=d_sae, k=k, l1_coefficient=l1_coefficient, n_tokens=n_tokens,
        context_size=context_size, lr=lr, dtype=dtype, processing=processing, held_out_sequences=held_out, seed=seed,
    )  # fmt: skip
    typer.echo(run_training(recipe, source, out))


@app.command()
def serve(
    store: Store = None,
    host: Annotated[str | None, typer.Option(help="address to serve on [HEAD_ATLAS_HOST]")] = None,
    port: Port = None,
    open_to_network: Annotated[
        bool, typer.Option("--open-to-network", help="allow a host that other machines can reach")
    ] = False,
) -> None:
    """Serve a store."""
    _serve(_settings(store=store, host=host, port=port), open_to_network)


@app.command()
def doctor(store: Store = None) -> None:
    """Say what is installed, and whether the store is sound."""
    from app.doctor import findings

    for line in findings(_settings(store=store)):
        typer.echo(line)


@db.command("upgrade")
def db_upgrade(store: Store = None) -> None:
    """Create the store, or bring its schema up to date."""
    settings = _settings(store=store)
    _open_migrated(settings.store).dispose()
    typer.echo("the store is up to date")


@db.command("backup")
def db_backup(out: Annotated[Path, typer.Argument(help="file to write")], store: Store = None) -> None:
    """Copy a SQLite store while it is in use."""
    from app.store.engine import backup, open_store

    backup(open_store(_settings(store=store).store, must_exist=True), out)
    typer.echo(f"wrote {out}")


@db.command("check")
def db_check(store: Store = None) -> None:
    """Check that a store is whole and of this version."""
    from app.store.engine import check_store, open_store

    check_store(open_store(_settings(store=store).store, must_exist=True))
    typer.echo("the store is sound")


def _settings(**arguments: Any) -> Settings:
    return Settings(**{name: value for name, value in arguments.items() if value is not None})


def _open_migrated(store: str) -> Any:
    from app.store.engine import open_store
    from app.store.migrate import upgrade

    engine = open_store(store)
    upgrade(engine)
    return engine


def _live_fingerprint(store: str, slug: str) -> str | None:
    from app.store import runs
    from app.store.engine import read_session

    engine = _open_migrated(store)
    with read_session(engine) as session:
        found = runs.find_live_run(session, slug)
    engine.dispose()
    return found


def _serve(settings: Settings, open_to_network: bool = False) -> None:
    from app.log import configure_logging
    from app.web.server import serve as run_server

    configure_logging(settings.log_level)
    typer.echo(f"serving on http://{settings.host}:{settings.port}", err=True)
    run_server(settings, open_to_network)


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(143)


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    return f"the setting {'.'.join(map(str, problem['loc']))} is not usable: {problem['msg']}"


def _resume_hint(arguments: list[str]) -> str:
    return f"stopped; the finished parts are kept, go on with: head-atlas {shlex.join(arguments)}"


def main() -> NoReturn:
    """Run a command. Bad input ends in one sentence and the error's exit code; an interrupt in 130 or 143."""
    arguments = [
        part.replace("_", "-") if part.startswith("--") and "=" not in part else part for part in sys.argv[1:]
    ]
    signal.signal(signal.SIGTERM, _stop)
    code = 0
    try:
        code = app(arguments, standalone_mode=False) or 0
    except AppError as error:
        typer.echo(f"error: {error}", err=True)
        code = error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except SystemExit as stop:
        code = int(stop.code or 0)
    except typer.TyperException as error:  # wrong options
        typer.echo(f"error: {error.format_message()}", err=True)
        code = 2
    except ValidationError as error:  # a setting of the environment
        typer.echo(f"error: {_first_problem(error)}", err=True)
        code = 2
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        typer.echo(f"error: no space left on the disk ({error.filename or 'file unknown'})", err=True)
        code = OutOfSpace.exit_code
    if code in (130, 143) and arguments[:1] in (["precompute"], ["demo"], ["train-sae"]):
        typer.echo(_resume_hint(arguments), err=True)
    sys.exit(code)
