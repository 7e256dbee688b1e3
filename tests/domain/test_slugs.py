"""Slugs: what a model is called in an address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.slugs import MAX_SLUG, RESERVED_SLUGS, InvalidSlug, check_slug, slugify


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "smollm2-135m-instruct"),
        ("gpt2", "gpt2"),
        ("/models/My Model_v1.5/", "my-model-v1-5"),
        ("C:\\models\\Gemma", "gemma"),
        ("--Élan vital--", "elan-vital"),
        ("x" * 200, "x" * MAX_SLUG),
        ("a" * (MAX_SLUG - 1) + "-b", "a" * (MAX_SLUG - 1)),
    ],
)
def test_slugs_of_names(name, slug):
    assert slugify(name) == slug


@pytest.mark.parametrize("name", ["", "///", "模型", "...", "static", "org/API", "Docs/"])
def test_names_that_give_no_slug_are_refused(name):
    with pytest.raises(InvalidSlug, match="--name"):
        slugify(name)


@pytest.mark.parametrize("slug", ["", "-", "a-", "-a", "a--b", "A", "a_b", "a b", "é", "a\n", "x" * 81, "٣"])
def test_malformed_slugs_are_refused(slug):
    with pytest.raises(InvalidSlug):
        check_slug(slug)


@pytest.mark.parametrize("slug", RESERVED_SLUGS)
def test_reserved_slugs_are_refused(slug):
    with pytest.raises(InvalidSlug, match="reserved"):
        check_slug(slug)


@given(st.text())
def test_whatever_slugify_gives_is_a_slug(name):
    try:
        slug = slugify(name)
    except InvalidSlug:
        return
    assert check_slug(slug) == slug


def test_a_refusal_is_one_line_whatever_the_name():
    with pytest.raises(InvalidSlug, match=r"\A[^\n]*\Z"):
        slugify("\n" * 5)
