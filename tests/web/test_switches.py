"""While the server runs, threads pass Python's lock on soon; afterwards the process is as it was."""

import sys

import pytest
import uvicorn
from fastapi import FastAPI

from app.settings import Settings
from app.web.server import SWITCH_S, serve


@pytest.mark.parametrize("fails", [False, True])
def test_threads_switch_sooner_while_the_server_runs(monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    before, seen = sys.getswitchinterval(), list[float]()

    def run(_application: FastAPI, **_options: object) -> None:
        seen.append(sys.getswitchinterval())
        if fails:
            raise OSError("no such port")

    monkeypatch.setattr(uvicorn, "run", run)
    if fails:
        with pytest.raises(OSError, match="no such port"):
            serve(FastAPI(), Settings())
    else:
        serve(FastAPI(), Settings())
    assert seen == [pytest.approx(SWITCH_S)]
    assert sys.getswitchinterval() == pytest.approx(before)
    assert before > SWITCH_S  # Python's own: 5 ms
