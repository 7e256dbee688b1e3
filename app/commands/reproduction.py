"""The reproduction of the published figures."""

from typing import Annotated, Any

import typer

from app.commands.experiment_options import Again, BatchSize, Device, Dtype, Name, Revision, Seed
from app.commands.options import Dataset, Store, Threads, WorkDir
from app.commands.store_access import settings_of
from app.studies.options import ComputeOptions


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
    from app.precompute.request import JobRequest
    from app.studies.anchors import table
    from app.studies.reproduce import Reproduction, release_saes
    from app.studies.reproduce import reproduce as run

    settings = settings_of(store=store, work_dir=work_dir)
    options: Any = {} if threads is None else {"threads": threads}
    job = JobRequest(
        model=model, saes=release_saes(release), dataset=dataset, work_dir=settings.work_dir,
        cache_dir=settings.cache_dir, n_prompts=n_prompts, name=name, revision=revision, context_size=context_size,
        seed=seed, device=device, dtype=dtype, **options,
    )  # fmt: skip
    compute = ComputeOptions(batch_size=batch_size, device=device, dtype=dtype, threads=threads, again=again)
    typer.echo(
        table(run(Reproduction(job, settings.store, n_task_prompts, n_examples, n_sequences, compute)))
    )
