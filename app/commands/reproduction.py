"""The reproduction of the published figures."""

from typing import Annotated

import typer

from app.commands.experiment_options import Again, BatchSize, Device, Dtype, Name, Revision, Seed
from app.commands.options import Dataset, Store, Threads, WorkDir
from app.commands.store_access import settings_of


def reproduce(
    model: Annotated[str, typer.Option(help="GPT-2 small: hub name or local folder")] = "gpt2",
    release: Annotated[
        str, typer.Option(help="SAE release of the sae_lens registry")
    ] = "gpt2-small-hook-z-kk",
    dataset: Dataset = "Skylion007/openwebtext",
    store: Store = None,
    work_dir: WorkDir = None,
    name: Name = None,
    revision: Revision = None,
    n_prompts: Annotated[int, typer.Option(min=1, help="sequences of text for the atlas")] = 2000,
    context_size: Annotated[int, typer.Option(min=4, help="positions in a sequence, BOS included")] = 128,
    n_task_prompts: Annotated[int, typer.Option(min=2, help="prompts of each ablation task")] = 100,
    n_examples: Annotated[int, typer.Option(min=2, help="random sequences at each prefix length")] = 60,
    n_sequences: Annotated[int, typer.Option(min=1, help="sequences of text for the experiments")] = 256,
    seed: Seed = 0,
    batch_size: BatchSize = 16,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    threads: Threads = None,
    again: Again = False,
) -> None:
    """Measure every published figure of GPT-2 small's heads, and print it beside the published one."""
    from app.studies.anchors import table
    from app.studies.reproduce import Reproduction, request_of
    from app.studies.reproduce import reproduce as run
    from app.studies.running import ComputeOptions

    settings = settings_of(store=store, work_dir=work_dir)
    options = {} if threads is None else {"threads": threads}
    job = request_of(
        model, release, dataset, (settings.work_dir, settings.cache_dir), n_prompts, name=name,
        revision=revision, context_size=context_size, seed=seed, device=device, dtype=dtype, **options,
    )  # fmt: skip
    wanted = Reproduction(
        job, settings.store, n_task_prompts, n_examples, n_sequences, ComputeOptions(batch_size, again)
    )
    typer.echo(table(run(wanted)))
