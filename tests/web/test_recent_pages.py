"""The pages that a reader asked for lately: which are looked at after a save, and by whom."""

import threading
from dataclasses import replace

import pytest

from app.services.reading.visibility import Viewer
from app.web.known_answers import Version
from app.web.page_cache import KeptPage, Place, State
from app.web.recent_pages import MAX_PLACES, MAX_READERS, Reader, RecentPages

ADA = Reader("tiny", Viewer(0, "ada", "annotator"))
BEN = Reader("tiny", Viewer(0, "ben", "annotator"))


def version(number):
    return Version(number, frozenset())


def place(number):
    return Place("page", f"/{number}", "ada")


PAGE = KeptPage.of(b"page", State("run", "annotations"), "part", version(1), lambda context: None)


def asked(pages, reader, *numbers, page=PAGE):
    for number in numbers:
        pages.asked(reader, place(number), page)


def looked_at(pages, reader, number):
    with pages.to_look_at(reader, version(number)) as places:
        return places


def places(*numbers):
    return [place(number) for number in numbers]


def test_a_look_is_due_once_for_each_version_and_for_what_was_asked_for_since_the_last_but_one():
    pages = RecentPages()
    assert looked_at(pages, ADA, 1) == []
    asked(pages, ADA, 1, 2, 3, 2)
    assert looked_at(pages, ADA, 1) == []  # the pages were given in this version
    assert looked_at(pages, ADA, 2) == places(1, 3, 2)
    assert looked_at(pages, ADA, 2) == []
    asked(pages, ADA, 4)
    assert looked_at(pages, ADA, 3) == places(1, 3, 2, 4)
    assert looked_at(pages, ADA, 4) == places(4)
    assert looked_at(pages, ADA, 5) == []


def test_each_reader_has_pages_of_their_own_and_the_last_readers_are_remembered():
    pages = RecentPages()
    asked(pages, ADA, 1)
    asked(pages, BEN, 2)
    blind = ADA._replace(viewer=replace(ADA.viewer, blind=True))
    assert looked_at(pages, blind, 2) == []
    assert looked_at(pages, ADA._replace(model="other"), 2) == []
    assert (looked_at(pages, ADA, 2), looked_at(pages, BEN, 2)) == (places(1), places(2))
    asked(pages, ADA, 1)
    for number in range(MAX_READERS):
        asked(pages, BEN._replace(model=str(number)), 1)
    assert looked_at(pages, ADA, 3) == []


def test_the_last_pages_of_a_reader_are_remembered():
    pages = RecentPages()
    asked(pages, ADA, *range(MAX_PLACES + 5))
    assert looked_at(pages, ADA, 2) == places(*range(5, MAX_PLACES + 5))
    asked(pages, ADA, 7, "new")
    assert looked_at(pages, ADA, 3) == places(6, *range(8, MAX_PLACES + 5), 7, "new")


def test_pages_that_cannot_be_looked_at_are_not_remembered():
    pages = RecentPages()
    asked(pages, ADA, 1, page=PAGE._replace(look=None))
    asked(pages, ADA, 2, page=PAGE._replace(version=None))
    assert looked_at(pages, ADA, 2) == []


def test_others_wait_until_the_look_has_ended_and_have_none_of_their_own():
    pages, seen = RecentPages(), list[list[Place]]()
    asked(pages, ADA, 1)
    with pages.to_look_at(ADA, version(2)) as found:
        waiting = threading.Thread(target=lambda: seen.append(looked_at(pages, ADA, 2)), daemon=True)
        waiting.start()
        asked(pages, BEN, 2)
        assert looked_at(pages, BEN, 2) == places(2)  # another's look is waited for by nobody
        waiting.join(0.2)
        assert (found, seen) == (places(1), [])
    waiting.join(10)
    assert seen == [[]]


def test_a_look_that_fails_is_not_repeated_and_keeps_nobody_waiting():
    pages = RecentPages()
    asked(pages, ADA, 1)
    with pytest.raises(ZeroDivisionError), pages.to_look_at(ADA, version(2)):
        1 / 0  # noqa: B018 - the error of a look
    assert looked_at(pages, ADA, 2) == []
