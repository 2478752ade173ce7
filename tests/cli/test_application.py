"""The application loads what a command needs, and nothing is lost by that."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

import pytest
import typer

from keytrip.cli import app as cli


def _names(application: typer.Typer) -> Iterator[str]:
    for command in application.registered_commands:
        assert command.callback is not None
        yield command.name or command.callback.__name__
    yield from (str(group.name) for group in application.registered_groups)


@pytest.mark.parametrize("module", cli._MODULES)
def test_the_table_names_what_a_module_registers(module: str) -> None:
    """A command that the table lacks would still run, but load all modules; one too many would be unknown."""
    group = typer.Typer()
    import_module(f"keytrip.cli.{module}").register(group)
    assert set(_names(group)) == set(cli._MODULES[module])


def test_a_command_is_loaded_alone() -> None:
    """Other modules' commands are not made for a command, and all are for the help."""
    assert set(_names(cli.application("hunt"))) == set(cli._MODULES["data"])
    everything = {command for commands in cli._MODULES.values() for command in commands}
    assert set(_names(cli.application())) == set(_names(cli.application("--help"))) == everything
