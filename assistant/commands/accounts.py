"""`accounts ...`: who of the staff may sign in, as what; and the log of who changed what."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from assistant import console
from assistant.commands.opening import JsonOption, store_of

if TYPE_CHECKING:
    from assistant.accounts import Accounts

cli = typer.Typer(help="Who of the staff may sign in, as what; and the log of who changed what.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The user name, or an e-mail address.")]


class RoleName(enum.StrEnum):
    """What an account may do; the same words as `accounts.Role`."""

    viewer = "viewer"
    staff = "staff"
    owner = "owner"


RoleOption = Annotated[
    RoleName, typer.Option("--role", help="viewer looks; staff also works; owner also trains, erases and decides.")
]


@cli.command("add")
def _add(context: typer.Context, name: Name, role: RoleOption = RoleName.staff) -> None:
    """Adds an account and prints its one-time password, this once: only a hash is kept."""
    from assistant.accounts import Role

    with _accounts(context) as accounts:
        password = accounts.add(name, Role(role))
        accounts.log("account.add", f"{name}: {role}")
    console.tell("Pass the one-time password on; whoever signs in with it chooses their own.")
    typer.echo(password)


@cli.command("list")
def _list(context: typer.Context, as_json: JsonOption = False) -> None:
    """Lists the accounts."""
    with _accounts(context) as accounts:
        found = accounts.all()
    rows = [
        {
            "name": one.name,
            "role": one.role.value,
            "added": one.added.isoformat(timespec="seconds") if one.added else None,
            "seen": one.seen.isoformat(timespec="seconds") if one.seen else None,
            "password": "one-time" if one.waiting else "own" if one.own_password else "identity provider",
        }
        for one in found
    ]
    if as_json:
        console.print_json(rows)
        return
    head = ("name", "role", "added", "seen", "password")
    console.print_table(head, [[str(row[column] or "-") for column in head] for row in rows])


@cli.command("role")
def _role(context: typer.Context, name: Name, role: Annotated[RoleName, typer.Argument(metavar="ROLE")]) -> None:
    """Changes what an account may do, at once: viewer, staff or owner."""
    from assistant.accounts import Role

    with _accounts(context) as accounts:
        accounts.set_role(name, Role(role))
        accounts.log("account.role", f"{name}: {role}")
    typer.echo(f"{name} is {role} now.")


@cli.command("password")
def _password(context: typer.Context, name: Name) -> None:
    """Prints a new one-time password for an account; its sessions end."""
    with _accounts(context) as accounts:
        password = accounts.renew(name)
        accounts.log("account.password", name)
    typer.echo(password)


@cli.command("remove")
def _remove(context: typer.Context, name: Name) -> None:
    """Removes an account; its sessions end."""
    with _accounts(context) as accounts:
        accounts.remove(name)
        accounts.log("account.remove", name)
    typer.echo(f"Removed: {name}")


@cli.command("log")
def _log(context: typer.Context, as_json: JsonOption = False) -> None:
    """Prints who changed what, as CSV, newest first."""
    from assistant.accounts import to_csv

    with _accounts(context) as accounts:
        found = accounts.logged()
    if as_json:
        console.print_json(
            [{"at": one.at.isoformat(), "who": one.who, "action": one.action, "what": one.what} for one in found]
        )
        return
    typer.echo(to_csv(found), nl=False)


@contextlib.contextmanager
def _accounts(context: typer.Context) -> Iterator[Accounts]:
    from assistant.accounts import Accounts

    with store_of(context) as (store, settings):
        yield Accounts(store, settings.tenant)
