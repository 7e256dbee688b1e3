"""The table of roles and the families of groups."""

import pytest

from app.domain.annotations.names import normalised
from app.domain.annotations.roles import (
    ABSTRACTION_LEVELS,
    ABSTRACTIONS,
    FAMILIES,
    FAMILY_NAMES,
    ROLES,
    UnknownRole,
    find_role,
    suggested_family,
)


def test_codes_keys_and_names_are_unique():
    assert len({role.code for role in ROLES}) == len({role.key for role in ROLES}) == len(ROLES)
    names = [normalised(name) for role in ROLES for name in (role.name, *role.aliases)]
    assert len(set(names)) == len(names)


def test_the_table_is_complete():
    for role in ROLES:
        assert len(role.code) == 2
        assert role.code.isupper()
        assert len(role.key) == 1
        assert role.family in FAMILIES
        assert role.meaning
    wanted = """induction, long-prefix induction, previous token, duplicate token, copy suppression, successor,
    local context, long-range context, single token, bigram, preposition copying, name copying"""
    assert {normalised(name) for name in wanted.split(",")} <= {normalised(role.name) for role in ROLES}
    assert tuple(FAMILY_NAMES) == FAMILIES
    assert [ABSTRACTION_LEVELS[level] for level in ABSTRACTIONS] == [1, 2, 3, 4]


@pytest.mark.parametrize("text", ["induction", " Induction ", "IN", "INDUCTION"])
def test_a_role_is_found_by_name_or_code(text):
    assert find_role(text).name == "induction"


@pytest.mark.parametrize("text", ["prev token", "Previous-Token", "PT"])
def test_a_renamed_role_is_found_by_its_other_names(text):
    assert find_role(text).name == "previous token"


@pytest.mark.parametrize("text", ["", "inductio", "in", "x" * 500])
def test_what_is_no_role_is_refused_with_the_vocabulary(text):
    with pytest.raises(UnknownRole, match="copy suppression") as caught:
        find_role(text)
    assert len(str(caught.value)) < 900


@pytest.mark.parametrize(
    ("group", "family"),
    [
        ("induction, prefix 2", "IN"),
        ("Duplicate token", "MT"),
        ("bigrams after L", "LX"),
        ("active verbs", "GR"),
        ("solar context", "CX"),
        ("what is done to eyes", "CO"),
        ("unclear", "unclear"),
    ],
)
def test_a_new_group_picks_a_family(group, family):
    assert suggested_family(group) == family
