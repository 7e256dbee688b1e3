"""Running a benchmark's script in a process of its own, so that peak memory is its own."""

import json
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def json_of(python: str | Path, script: str, *arguments: object) -> dict[str, Any]:
    """The JSON object that ends what a script of this folder prints. Raises CalledProcessError."""
    command = [str(python), str(HERE / script), *map(str, arguments)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output[output.rindex("\n{") :] if "\n{" in output else output)
