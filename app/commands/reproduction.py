"""The reproduction of the published figures."""

from typing import Annotated

import typer

from app.commands.experiment_options import Name, Revision
from app.commands.option_groups import with_options
from app.commands.options import Dataset, Store, WorkDir
from app.commands.store_access import check_ready, settings_of
from app.studies.options import ReproductionOptions


@with_options
def reproduce(
    *,
    model: Annotated[str, typer.Option(help="GPT-2 small: hub name or local folder")] = "gpt2",
    release: Annotated[
        str, typer.Option(help="SAE release of the sae_lens registry")
    ] = "gpt2-small-hook-z-kk",
    dataset: Dataset = "Skylion007/openwebtext",
    store: Store = None,
    work_dir: WorkDir = None,
    name: Name = None,
    revision: Revision = None,
    options: ReproductionOptions,
) -> None:
    """Measure every published figure of GPT-2 small's heads, and print it beside the published one."""
    from app.precompute.plan import default_threads
    from app.precompute.request import JobRequest, slug_of

    settings = settings_of(store=store, work_dir=work_dir)
    check_ready("reproduce", settings, slug_of(model, name))
    from app.studies.anchors import table
    from app.studies.reproduce import Reproduction, release_saes
    from app.studies.reproduce import reproduce as run

    job = JobRequest(
        model=model,
        saes=release_saes(release),
        dataset=(dataset,),
        work_dir=settings.work_dir,
        cache_dir=settings.cache_dir,
        name=name,
        revision=revision,
        n_prompts=options.n_prompts,
        context_size=options.context_size,
        seed=options.seed,
        device=options.device,
        dtype=options.dtype,
        threads=default_threads() if options.threads is None else options.threads,
    )
    typer.echo(table(run(Reproduction(job, settings.store, options))))
