"""The command line before any command: what its help imports."""

import subprocess
import sys


def test_help_imports_no_model_library() -> None:
    script = (
        "import sys\nfrom app.cli import main\nsys.argv = ['head-atlas', 'precompute', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "assert not {'torch', 'transformers', 'sae_lens', 'sqlalchemy'} & set(sys.modules)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
