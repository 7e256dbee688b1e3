"""Logs: one JSON object a line, whoever writes it and whatever is in it."""

import io
import json
import logging

import pytest
import structlog

from app.log import configure_logging


@pytest.fixture
def stream():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    made = io.StringIO()
    configure_logging("INFO", made)
    yield made
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_events_and_library_records_are_json_lines(stream):
    structlog.get_logger("ours").info("published", slug="tiny", n=3)
    logging.getLogger("library").warning("took %d s", 4)
    logging.getLogger("library").debug("not shown")
    ours, library = lines(stream)
    assert (ours["event"], ours["slug"], ours["n"], ours["level"]) == ("published", "tiny", 3, "info")
    assert (library["event"], library["logger"], library["level"]) == ("took 4 s", "library", "warning")
    assert ours["timestamp"].endswith("Z")


@pytest.mark.parametrize("text", ["a\r\nb", "\x1b[31mred", "\u2028", "\x00", '"}{'])
def test_f18_no_text_can_forge_a_line_or_reach_the_terminal(stream, text):
    structlog.get_logger().info(text, name=text)
    logging.getLogger("library").info("%s", text)
    assert [line["event"] for line in lines(stream)] == [text, text]
    assert all(ord(character) >= 32 or character == "\n" for character in stream.getvalue())


def test_an_exception_is_one_line_too(stream):
    try:
        int("broken")
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = lines(stream)
    assert "'broken'" in line["exception"]


def test_secrets_are_masked(stream):
    secrets = {"password": "hidden", "Note": "hidden"}
    structlog.get_logger().info("opened postgresql://me:hidden@host/name", **secrets)
    logging.getLogger("library").info("opened %s", "postgresql://me:hidden@host/name")
    assert "hidden" not in stream.getvalue()
    assert "postgresql://me:***@host/name" in stream.getvalue()
