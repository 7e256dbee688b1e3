"""The command line: every command by its name, and how each ends."""

import errno
import shlex
import signal
import sys
from types import FrameType
from typing import NoReturn

import typer
from pydantic import ValidationError

from app.commands import annotations, experiments, exports, jobs, reproduction, saes, stores
from app.errors import AppError, OutOfSpace

_RESUMABLE = (["precompute"], ["demo"], ["train-sae"])
_DISK_ERRORS = (errno.EIO, errno.EROFS, errno.ENXIO, errno.ESTALE, errno.EFBIG)
DESCRIPTION = "Inspect every attention head of a language model through sparse autoencoder features."

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, help=DESCRIPTION
)
app.command()(jobs.demo)
app.command()(jobs.precompute)
app.command("train-sae")(jobs.train_sae)
app.command("convert-sae")(saes.convert_sae)
app.command()(stores.serve)
app.command()(stores.doctor)

db = typer.Typer(no_args_is_help=True, help="Create, upgrade, check and back up a store.")
db.command("upgrade")(stores.db_upgrade)
db.command("backup")(stores.db_backup)
db.command("check")(stores.db_check)
db.command("runs")(stores.db_runs)
app.add_typer(db, name="db")
app.add_typer(experiments.experiment, name="experiment")
app.command()(reproduction.reproduce)

annotators = typer.Typer(no_args_is_help=True, help="Manage the accounts of annotators.")
annotators.command("add")(annotations.annotators_add)
annotators.command("list")(annotations.annotators_list)
annotators.command("remove")(annotations.annotators_remove)
annotators.command("password")(annotations.annotators_password)
app.add_typer(annotators, name="annotators")

export = typer.Typer(no_args_is_help=True, help="Export from a store to files.")
export.command("annotations")(annotations.export_annotations)
export.command("publication")(exports.export_publication)
export.command("site")(exports.export_site)
app.add_typer(export, name="export")

imports = typer.Typer(no_args_is_help=True, help="Import files into a store.")
imports.command("annotations")(annotations.import_annotations)
app.add_typer(imports, name="import")


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(143)


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    return f"the setting {'.'.join(map(str, problem['loc']))} is not usable: {problem['msg']}"


def _resume_hint(arguments: list[str]) -> str:
    return f"stopped; the finished parts are kept, go on with: head-atlas {shlex.join(arguments)}"


def _disk_sentence(error: OSError) -> str | None:
    """What the disk refused, with the path; None for what is no error of a disk."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left on the disk ({error.filename or 'file unknown'})"
    reason = error.strerror or str(error)
    if error.filename is not None:
        return f"{error.filename} cannot be read or written: {reason}"
    return f"the disk cannot be read or written: {reason}" if error.errno in _DISK_ERRORS else None


def main() -> NoReturn:
    """Run a command. Bad input ends in one sentence and the error's exit code; an interrupt in 130 or 143."""
    arguments = [
        part.replace("_", "-") if part.startswith("--") and "=" not in part else part for part in sys.argv[1:]
    ]
    signal.signal(signal.SIGTERM, _stop)
    code = 0
    try:
        code = app(arguments, standalone_mode=False) or 0
    except AppError as error:
        named = not error.where or error.where in str(error)
        typer.echo(f"error: {error}" if named else f"error: {error} ({error.where})", err=True)
        code = error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except SystemExit as stop:
        code = int(stop.code or 0)
    except typer.TyperException as error:  # wrong options
        typer.echo(f"error: {error.format_message()}", err=True)
        code = 2
    except ValidationError as error:  # a setting of the environment
        typer.echo(f"error: {_first_problem(error)}", err=True)
        code = 2
    except OSError as error:
        sentence = _disk_sentence(error)
        if sentence is None:
            raise
        typer.echo(f"error: {sentence}", err=True)
        code = OutOfSpace.exit_code
    if code in (130, 143, OutOfSpace.exit_code) and arguments[:1] in _RESUMABLE:
        typer.echo(_resume_hint(arguments), err=True)
    sys.exit(code)
