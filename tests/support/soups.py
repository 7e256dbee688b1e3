"""Pages as trees."""

from bs4 import BeautifulSoup


def soup(text: str) -> BeautifulSoup:
    return BeautifulSoup(text, "html.parser")
