"""The front door: `python app.py` serves, `python app.py --help` lists the subcommands.

Not where anything is done: it hands over to `assistant.commands`. Installed, it is `confide`.
"""

from __future__ import annotations

import io
import sys

if sys.version_info < (3, 11):  # noqa: UP036  said before anything newer is imported
    sys.exit("Confide needs Python 3.11 or newer; this is " + sys.version.split()[0] + ".")

from assistant.commands import cli, run, serving
from federated.commands import cli as federated

cli.add_typer(federated, name="federated")
serving.panels.append("federated.panel:panel")


def main() -> None:
    """Runs the command line and exits with its code."""
    for stream in (sys.stdin, sys.stdout):  # a pipe or a file is in the ANSI code page on Windows
        if isinstance(stream, io.TextIOWrapper) and not stream.isatty():
            stream.reconfigure(encoding="utf-8", errors=stream.errors)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
