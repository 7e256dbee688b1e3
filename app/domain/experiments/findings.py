"""What an experiment found, in one plain sentence: over all, and for each head that it speaks of."""

from collections.abc import Callable, Iterable
from typing import Any

from app.domain.experiments.ablation import HeadAblationResult, PolysemanticityResult
from app.domain.experiments.feature_check import FeatureCheckResult
from app.domain.experiments.known_heads import ROLES, KnownHeadsResult
from app.domain.experiments.long_prefix import LongPrefixResult
from app.domain.experiments.rankings import RankingAgreement, WeightVsFveResult
from app.domain.experiments.records import Result
from app.domain.experiments.scan import UniversalityResult
from app.domain.refs import HeadRef

MAX_NAMED = 8


def finding(result: Result) -> str:
    """One sentence for the whole result."""
    return _OVERALL[type(result)](result)


def head_findings(result: Result) -> dict[HeadRef, str]:
    """One sentence for each head that the result says something of."""
    return _BY_HEAD[type(result)](result)


def listed(heads: Iterable[HeadRef], none: str = "none") -> str:
    """Heads by name; of many the first few and how many more."""
    names = [str(head) for head in sorted(heads)]
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return (", ".join(names[:MAX_NAMED]) or none) + more


def _by_kind(kinds: dict[HeadRef, str]) -> str:
    parts = [
        f"{kind}: {listed(head for head, found in kinds.items() if found == kind)}"
        for kind in ("long-prefix", "standard")
    ]
    n_neither = sum(kind == "neither" for kind in kinds.values())
    return f"{'; '.join(parts)}; neither: {n_neither} of {len(kinds)}"


def _long_prefix(result: LongPrefixResult) -> str:
    return _by_kind({study.head: study.verdict.kind for study in result.heads})


def _universality(result: UniversalityResult) -> str:
    return _by_kind({point.head: point.verdict.kind for point in result.heads})


def _long_prefix_heads(result: LongPrefixResult) -> dict[HeadRef, str]:
    return {study.head: f"{study.verdict.kind}: {study.verdict.reason}" for study in result.heads}


def _universality_heads(result: UniversalityResult) -> dict[HeadRef, str]:
    return {
        point.head: f"{point.verdict.kind}: {point.verdict.reason}"
        for point in result.heads
        if point.verdict.kind != "neither"
    }


def _standing_out(result: HeadAblationResult) -> dict[HeadRef, dict[str, list[str]]]:
    """Head -> task -> kinds of ablation under which it stands out."""
    found: dict[HeadRef, dict[str, list[str]]] = {}
    for task in result.tasks:
        for mode in task.modes:
            for head in mode.heads:
                modes = found.setdefault(head.head, {})
                if head.stands_out:
                    modes.setdefault(task.task, []).append(mode.mode)
    return found


def _head_ablation(result: HeadAblationResult) -> str:
    found = _standing_out(result)
    tasks = {
        task.task: [head for head, modes in found.items() if task.task in modes] for task in result.tasks
    }
    return f"heads of layer {result.layer} that stand out: " + "; ".join(
        f"{task}: {listed(heads)}" for task, heads in tasks.items()
    )


def _head_ablation_heads(result: HeadAblationResult) -> dict[HeadRef, str]:
    def sentence(modes: dict[str, list[str]]) -> str:
        if not modes:
            names = [task.task for task in result.tasks]
            return f"does not stand out on {', '.join(names) if len(names) < 4 else f'any of {len(names)} tasks'}"
        parts = [f"{task} ({', '.join(kinds)})" for task, kinds in modes.items()]
        return f"stands out when ablated on {', '.join(parts)}"

    return {head: sentence(modes) for head, modes in _standing_out(result).items()}


def _known_heads(result: KnownHeadsResult) -> str:
    found = result.detected()
    return "; ".join(f"{role.replace('_', ' ')}: {listed(found[role])}" for role in ROLES)


def _known_heads_heads(result: KnownHeadsResult) -> dict[HeadRef, str]:
    return {
        head.head: "detected as "
        + ", ".join(f"{role.replace('_', ' ')} ({head.scores[role]:.2f})" for role in head.roles)
        for head in result.heads
        if head.roles
    }


def default_agreements(result: WeightVsFveResult) -> dict[HeadRef, RankingAgreement]:
    """The default definition of FVE: the covariance share over active tokens."""
    return {
        agreement.head: agreement
        for agreement in result.agreements
        if (agreement.definition, agreement.tokens) == ("covariance_share", "active")
    }


def _weight_vs_fve(result: WeightVsFveResult) -> str:
    matters = [head for head, found in default_agreements(result).items() if found.ranking_matters]
    return f"the choice of ranking matters for {listed(matters)} of layer {result.layer}"


def _weight_vs_fve_heads(result: WeightVsFveResult) -> dict[HeadRef, str]:
    return {
        head: f"weight and FVE: ρ {'unknown' if found.correlation is None else f'{found.correlation:.2f}'}, "
        f"{found.overlap} of {found.n_listed} features in both lists"
        for head, found in default_agreements(result).items()
    }


def _polysemanticity(result: PolysemanticityResult) -> str:
    return f"{result.head}: ablation confirms {result.n_confirmed} of {len(result.roles)} tested roles"


def _polysemanticity_heads(result: PolysemanticityResult) -> dict[HeadRef, str]:
    confirmed = [role.role for role in result.roles if role.hurt and role.stands_out]
    tested = ", ".join(role.role for role in result.roles)
    return {result.head: f"of the roles {tested}, ablation confirms {', '.join(confirmed) or 'none'}"}


def _feature_check(result: FeatureCheckResult) -> str:
    top = result.intervals[-1].proxy_share
    share = "unknown" if top is None else f"{top.mean:.2f}"
    return f"{result.feature} against {result.proxy}: in the strongest interval the proxy selects {share} of the tokens"


def _no_heads(_result: FeatureCheckResult) -> dict[HeadRef, str]:
    return {}


_OVERALL: dict[type, Callable[[Any], str]] = {
    LongPrefixResult: _long_prefix,
    HeadAblationResult: _head_ablation,
    KnownHeadsResult: _known_heads,
    WeightVsFveResult: _weight_vs_fve,
    UniversalityResult: _universality,
    PolysemanticityResult: _polysemanticity,
    FeatureCheckResult: _feature_check,
}
_BY_HEAD: dict[type, Callable[[Any], dict[HeadRef, str]]] = {
    LongPrefixResult: _long_prefix_heads,
    HeadAblationResult: _head_ablation_heads,
    KnownHeadsResult: _known_heads_heads,
    WeightVsFveResult: _weight_vs_fve_heads,
    UniversalityResult: _universality_heads,
    PolysemanticityResult: _polysemanticity_heads,
    FeatureCheckResult: _no_heads,
}
