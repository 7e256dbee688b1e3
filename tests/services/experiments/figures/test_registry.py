"""Every kind of experiment says how it is drawn, and what the compare page shows is open to everyone."""

from dataclasses import fields, is_dataclass

import pytest

from app.domain.experiments.registry import KINDS
from app.services.experiments.figures.options import FigureOptions
from app.services.experiments.figures.registry import FIGURES
from tests.support.experiment_results import results


def test_every_kind_has_its_figures_and_a_result_in_the_test_store() -> None:
    assert list(FIGURES) == list(KINDS) == list(results())
    assert all(FIGURES[name].kind is kind for name, kind in KINDS.items())


@pytest.mark.parametrize("name", KINDS)
def test_a_result_of_the_kind_is_drawn(name: str) -> None:
    result, kind = results()[name], KINDS[name]
    assert type(result) is kind.result_type
    others = [result] * FIGURES[name].n_others
    figures = FIGURES[name].draw(result, others, FigureOptions())
    assert len({figure.name for figure in figures}) == len(figures) > 0
    assert len(figures) >= FIGURES[name].n_compared


def test_the_compare_page_shows_no_kind_that_rests_on_roles() -> None:
    compared = {name for name, figures in FIGURES.items() if figures.n_compared}
    assert compared == {"long-prefix-induction", "head-ablation", "weight-vs-fve"}
    assert not any(KINDS[name].needs_roles for name in compared)


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_parameters_are_a_dataclass_with_a_default_for_everything(kind) -> None:
    assert is_dataclass(kind.parameters_type)
    parameters = kind.parameters_type()
    assert {part.name for part in fields(parameters)} - {"seed"}
