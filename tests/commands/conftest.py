"""The command line in this process."""

import signal
import sys
from collections.abc import Iterator

import pytest

import app.cli
from tests.support.command_line import Command, Ended


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Runs head-atlas in this process."""
    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # as HF_HUB_OFFLINE=1 at the start

    def call(*words: str) -> Ended:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["head-atlas", *words])
        with pytest.raises(SystemExit) as ended:
            app.cli.main()
        captured = capsys.readouterr()
        return Ended(int(ended.value.code or 0), captured.out, captured.err)

    yield call
    signal.signal(signal.SIGTERM, handler)
