"""`accelerators`: which devices there are, who holds them, who waits and why."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from resources.accelerators.commands import (
    catalogue,
    drain,
    explain,
    gantt,
    register,
    release,
    run_flags,
    status,
    usage,
)
from resources.accelerators.configuration import FILE_VARIABLE, LEDGER_VARIABLE
from resources.accelerators.errors import AcceleratorError
from resources.accelerators.ledger.liveness import HOST_VARIABLE
from resources.config_errors import ConfigError

Arguments = Callable[[argparse.ArgumentParser], None]
Run = Callable[[argparse.Namespace], int]

COMMANDS: dict[str, tuple[str, Arguments, Run]] = {
    "status": (status.HELP, status.arguments, status.run),
    "explain": (explain.HELP, explain.arguments, explain.run),
    "register": (register.HELP, register.arguments, register.run),
    "drain": (drain.HELP, drain.arguments, drain.run),
    "undrain": (drain.HELP_UNDRAIN, drain.undrain_arguments, drain.undrain),
    "usage": (usage.HELP, usage.arguments, usage.run),
    "gantt": (gantt.HELP, gantt.arguments, gantt.run),
    "catalogue": (catalogue.HELP, catalogue.arguments, catalogue.run),
    "run-flags": (run_flags.HELP, run_flags.arguments, run_flags.run),
    "release": (release.HELP, release.arguments, release.run),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code: 0; 1 after an error that was said in one line; 3 as its help says."""
    options = _parser().parse_args(arguments)
    try:
        code = options.run(options)
        sys.stdout.flush()
        return code
    except (ConfigError, AcceleratorError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            return _reader_has_gone()
        print(f"accelerators {options.name}: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="accelerators",
        description=__doc__,
        epilog=f"{FILE_VARIABLE} names another accelerators.yml, {LEDGER_VARIABLE} another ledger, {HOST_VARIABLE} "
        "this host where its name changes with each start.",
    )
    commands = parser.add_subparsers(dest="name", required=True)
    for name, (text, arguments, run) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        arguments(command)
        command.set_defaults(run=run)
    return parser


def _reader_has_gone() -> int:
    """`head`, for example, has seen enough; what Python still wants to write at exit has nowhere to go."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
