"""The command `gate`: finds the command's module, runs it, and turns every end into an exit code.

Modules are imported only when one of their commands is called, so that help is instant.
"""

import errno
import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from typing import Annotated, Any, Final, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

from gate.cli.exits import Code, Usage, code_of
from gate.cli.interruption import interruptible
from gate.cli.screen import Format, output_failed, paint, tell, write
from gate.errors import GateError


class Entry(NamedTuple):
    """Where a command lives, and what it does in a line."""

    module: str
    help: str


COMMANDS: Final = {
    "demo": Entry("demo", "Show everything in one go on real input, in under a minute."),
    "init": Entry("setup", "Make a folder with development keys, trust root and configuration."),
    "topics": Entry("topics", "Make the gate's topics as the table has them, and check them."),
    "init-lineage": Entry("setup", "First start: Genesis and trust root in every partition."),
    "run": Entry("running", "Run the gate."),
    "submit": Entry("submit", "Check, sign and publish action requests."),
    "tail": Entry("tail", "Show decisions as they are committed, verified."),
    "quarantine": Entry("quarantine", "List and show input that was set aside."),
    "decide": Entry("decide", "Decide one request offline."),
    "evidence": Entry("auditing", "Write the evidence file of a decision."),
    "verify": Entry("verify", "Verify evidence offline, or prove a fork."),
    "audit": Entry("auditing", "Check the gate's promises over its topics."),
    "replay": Entry("auditing", "Decide recorded input again and compare."),
    "policy": Entry("policy", "Check, test, pack, sign, verify and activate policies."),
    "keys": Entry("keys", "Create and show keys."),
    "trust": Entry("trust", "Build, sign, show and activate trust roots."),
    "doctor": Entry("doctor", "Look at everything that a gate needs, each with its cure."),
    "config": Entry("configuration", "Show and check the configuration."),
    "runtime": Entry("configuration", "Say what software this is."),
}


_OUTPUT_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class LazyGroup(TyperGroup):
    """Knows its commands by name and a line of help; loads one when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of a first use."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a stand-in that has just the line of help."""
        del ctx
        entry = COMMANDS.get(cmd_name)
        return entry and TyperCommand(cmd_name, help=entry.help)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the real command; for an unknown one the nearest are suggested."""
        self.commands = {name: self.get_command(ctx, name) for name in COMMANDS}
        name, stand_in, rest = super().resolve_command(ctx, args)
        return name, stand_in and load(COMMANDS[str(name)].module, str(name)), rest


def load(module: str, name: str) -> Any:
    """Return a command, or a group of commands, of one of this room's modules."""
    found = get_command(importlib.import_module(f"gate.cli.{module}").app)
    return getattr(found, "commands", {}).get(name, found)


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Decide action requests under signed policy, and prove it.",
    epilog="Begin with `gate demo`, or with `gate init DIR`. Exit codes: 0 yes, 1 the answer is "
    "no, 2 usage, 3 configuration, policy, request file or key invalid, 4 cannot reach what is "
    "needed, 5 state damaged, 70 bug, 130 interrupted, 141 the reader of the output went away.",
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        wiring = importlib.import_module("gate.wiring")  # not for help, which is instant
        write(Format.TEXT, {}, f"gate {wiring.package_version()}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Say which version this is.", callback=_show_version),
    ] = False,
) -> None:
    """Make this a group."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; never raises."""
    try:
        with interruptible():
            ended = app(
                list(sys.argv[1:] if arguments is None else arguments),
                prog_name="gate",
                standalone_mode=False,
            )
        sys.stdout.flush()
    except TyperException as error:
        _explain(error)
        return Code.USAGE
    except Usage as error:
        _complain(str(error))
        return Code.USAGE
    except GateError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in _OUTPUT_FULL:
            _forget_output()
        _complain(str(error))
        return code_of(error)
    except (typer.Abort, KeyboardInterrupt):
        tell("interrupted")
        return Code.INTERRUPTED
    except (BrokenPipeError, SystemExit):
        # Nobody reads on; typer turns that into an exit. Quiet, as after SIGPIPE.
        _forget_output()
        return Code.READER_GONE
    except Exception as error:  # noqa: BLE001 - the last line of defence
        if isinstance(error, OSError) and error.errno in _OUTPUT_FULL and not error.filename:
            _forget_output()
            _complain(str(output_failed(error)))
            return Code.UNREACHABLE
        _complain(f"this is a bug: {type(error).__name__}: see `{_written(error)}`")
        return Code.BUG
    if ended == Code.INTERRUPTED:  # typer turns Ctrl-C into it
        tell("interrupted")
    return ended if isinstance(ended, int) else Code.YES


def _forget_output() -> None:
    """Let what stdout still holds go nowhere, or the interpreter would complain at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _explain(error: TyperException) -> None:
    """Say what is wrong with the command line, and how it should look."""
    text = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    if text and context is not None:  # without a text the help was shown already
        tell(f"{' '.join(context.get_usage().split())}\n{text}")
        tell(f"see `{context.command_path} --help`")


def _complain(text: str) -> None:
    tell(f"{paint('error:', 'red', sys.stderr)} {text}")


def _written(error: Exception) -> str:
    """Write the traceback to a file of its own and return its name."""
    with tempfile.NamedTemporaryFile("w", prefix="gate-bug-", suffix=".txt", delete=False) as file:
        traceback.print_exception(error, file=file)
        return file.name
