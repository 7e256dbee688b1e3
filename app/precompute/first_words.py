"""What a job says before it starts to compute."""

from app.adapters.devices import describe_device
from app.precompute.loaded_run import LoadedRun
from app.precompute.plan import NO_SAE
from app.store.atlas.reads import find_live_plan
from app.store.database.engine import Engine, read_session


def described(run: LoadedRun) -> str:
    """Where and how the run computes: cpu, float32, 2 threads."""
    plan = run.plan
    threads = f", {plan.threads} thread{'s' if plan.threads > 1 else ''}" if plan.device == "cpu" else ""
    return f"{describe_device(plan.device)}, {plan.dtype}{threads}"


def first_words(run: LoadedRun, slug: str, engine: Engine, workers: str = "") -> list[str]:
    """Where it is computed, then what is not as it was asked for, or as it was: said before hours of work."""
    lines = [
        f"computing on {described(run)}{', in ' * bool(workers)}{workers}",
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
