"""The lines that a job prints before it computes."""

from app.accumulators.layer_statistics import statistics_device
from app.adapters.devices import describe_device
from app.precompute.loaded_run import LoadedRun
from app.precompute.plan import NO_SAE
from app.store.atlas.reads import find_live_plan
from app.store.database.engine import Engine, read_session


def describe_devices(run: LoadedRun) -> str:
    """The device, number type and threads that the run computes with: cpu, float32, 2 threads."""
    plan = run.plan
    on_host = statistics_device(plan.device).type == "cpu"
    threads = f", {plan.threads} thread{'s' if plan.threads > 1 else ''}" if on_host else ""
    return f"{describe_device(plan.device)}, {plan.dtype}{threads}"


def opening_lines(run: LoadedRun, slug: str, engine: Engine, workers: str = "") -> list[str]:
    """Where the job computes, then how it differs from what was asked for and from the live run of the atlas."""
    lines = [
        f"computing on {describe_devices(run)}{', in ' * bool(workers)}{workers}",
        *([] if run.plan.saes else [NO_SAE]),
    ]
    corpus, n_prompts = run.corpus, run.plan.n_prompts
    if n_prompts is not None and corpus.n_sequences < n_prompts:
        have = "has" if len(corpus.names) == 1 else "have"
        lines.append(
            f"{corpus.name} {have} {corpus.n_sequences:,} sequences of {corpus.context_size} tokens, and --n-prompts "
            f"asks for {n_prompts:,}: the whole corpus is read"
        )
    with read_session(engine) as session:
        live = find_live_plan(session, slug)
    if live is not None and live.fingerprint != run.plan.fingerprint:
        version = "" if live.plan.get("format") == run.plan.format else ", of another version of Head Atlas"
        lines.append(
            f"atlas {slug} shows run {live.fingerprint}{version}; run {run.plan.fingerprint} takes its place when it "
            "is done, and labels stay (another --name keeps both)"
        )
    return lines
