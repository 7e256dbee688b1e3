"""References: every accepted spelling, everything else refused, printing and order."""

import pytest

from app.domain.refs import FeatureRef, HeadRef, InvalidReference


@pytest.mark.parametrize("text", ["L5H1", "l5h1", "L5.H1", "5.1", "H5.1", "a5.h1", "5/1", " L5H1 "])
def test_head_spellings(text: str) -> None:
    assert HeadRef.parse(text) == HeadRef(5, 1)


@pytest.mark.parametrize("text", ["L5F35744", "l5f35744", "L5.F35744", "5/35744"])
def test_feature_spellings(text: str) -> None:
    assert FeatureRef.parse(text) == FeatureRef(5, 35744)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "L5",
        "H1",
        "L5H",
        "L-1H2",
        "L05H1",
        "L5H1x",
        "L5F1",
        "5.1.2",
        "L5H99999999999",
        "L\u0665H1",
        "L5H2147483648",
    ],
)
def test_what_names_no_head(text: str) -> None:
    with pytest.raises(InvalidReference, match="is not a head reference such as L5H1"):
        HeadRef.parse(text)


def test_an_error_quotes_no_more_than_it_needs() -> None:
    with pytest.raises(InvalidReference) as caught:
        FeatureRef.parse("x" * 10_000)
    assert len(str(caught.value)) < 200
    assert caught.value.status_code == 404


def test_print_parse_and_order() -> None:
    heads = [HeadRef(layer, head) for layer in (0, 2, 10) for head in (0, 2, 10)]
    backwards = heads[::-1]
    assert sorted(backwards) == heads
    assert [HeadRef.parse(str(head)) for head in heads] == heads
    assert str(FeatureRef(5, 35744)) == "L5F35744"
