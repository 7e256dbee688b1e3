"""The annotation panel of a head's page, and of one row of it: suggestions are asked for late, and then kept."""

from dataclasses import replace

import numpy as np
import pytest

from app.domain.evidence import LONG_PREFIX
from app.services.heads.annotated import annotated_head, annotated_row, annotation_panel
from app.services.heads.page import HeadQuestion
from app.services.reading.cache import RunCache
from tests.support.annotating import HEAD, Team
from tests.support.run_data import make_run


def with_long_prefixes(run):
    """The run, where heads read nothing but induction with long prefixes, and attend to copies."""
    features = {}
    for ref, feature in run.features.items():
        if feature.examples is not None:
            counts = {
                kind: np.full_like(n, 20 * (kind == "induction"))
                for kind, n in feature.evidence.counts.items()
            }
            prefixes = np.full_like(feature.examples.prefix_length, LONG_PREFIX)
            feature = replace(
                feature,
                evidence=replace(feature.evidence, counts=counts),
                examples=replace(feature.examples, prefix_length=prefixes),
            )
        features[ref] = feature
    heads = [replace(head, scores=head.scores | {"induction": 0.5}) for head in run.heads]
    return replace(run, features=features, heads=heads)


@pytest.fixture
def team(engine):
    people = {"ada": {}, "ben": {"blind": True}, "vera": {"role": "viewer"}}
    return Team(engine, with_long_prefixes(make_run()), **people)


@pytest.fixture
def asked(monkeypatch):
    """The texts whose share of long prefixes was asked for, each time."""
    seen = []
    monkeypatch.setattr(
        "app.services.annotations.long_prefixes.long_prefix_share", lambda texts, _: seen.append(texts) or 0.3
    )
    return seen


@pytest.mark.parametrize(
    "view",
    [
        lambda *arguments: annotated_row(*arguments).annotation,
        lambda *arguments: annotated_head(*arguments).annotation,
        annotation_panel,
    ],
    ids=["row", "page", "panel"],
)
def test_suggestions_are_asked_for_once_and_only_for_who_is_shown_them(team, asked, view):
    shown = team.view(annotated_head, team["ada"], HeadQuestion(HEAD))
    feature, expected = shown.features[2].feature, shown.annotation.suggestions
    assert feature in expected
    asked.clear()
    memory = RunCache()

    def suggested(name):
        question = HeadQuestion(HEAD, open_feature=feature)
        return team.view(
            lambda context: view(replace(context, cache=memory), question), team[name]
        ).suggestions

    assert suggested("ben") == {}
    suggested("vera")  # a reader has no form
    assert asked == []
    assert suggested("ada") == expected
    team.save("ben")
    assert suggested("ben") == expected
    assert len(asked) == 1
