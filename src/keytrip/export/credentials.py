"""Secrets of destinations: from a file, a command, the environment or the keyring; never from the command line."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from keytrip.errors import SystemRefusedError, UsageError

Kind = Literal["none", "bearer", "basic", "api_key", "client_cert"]
# Seconds that a command may think; one that asks a person on the terminal takes its time.
_PATIENCE = 60.0
_SERVICE = "keytrip"


@dataclass(frozen=True)
class Credential:
    """What a destination is told to know us by.

    Attributes:
        kind: How it is sent; `client_cert` is sent by TLS itself, with what the connection names.
        user: Of `basic`.
        secret: The token, API key or password. It is in no `repr`, and must be in no error.
        source: Where it came from, in words for people.
        again: Reads it anew after the server refused it: a token may have expired; None where it cannot change.
    """

    kind: Kind = "none"
    user: str = ""
    secret: str = field(default="", repr=False)
    source: str = "none"
    again: Callable[[], Credential] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class SecretPlace:
    """Where the command line says that the secret is."""

    token_file: Path | None = None
    token_command: str | None = None


def credential_for(
    prefix: str, kind: Literal["bearer", "api_key"], place: SecretPlace, environment: Mapping[str, str]
) -> Credential:
    """Return a destination's credential: of the options, else of the environment, else of the keyring, else none.

    Args:
        prefix: Of its variables, such as `KEYTRIP_SPLUNK`.
        kind: What a token is to this kind of destination.
        place: The options.
        environment: The process's.

    Raises:
        UsageError: Two options, or two variables, say it; or one of them holds nothing that could be sent.
        SystemRefusedError: The file cannot be read, or the command failed.
    """
    if place.token_file and place.token_command:
        raise UsageError("--token-file and --token-command both say the secret", hint="leave one of them out")
    if place.token_file:
        return _from(lambda: _read(place.token_file or Path()), kind, f"the file {place.token_file}")
    if place.token_command:
        return _from(lambda: _run(place.token_command or ""), kind, "--token-command")
    return _from_environment(prefix, environment) or _from_keyring(prefix, kind) or _from_tls(prefix, environment)


def _from(secret: Callable[[], str], kind: Kind, source: str) -> Credential:
    def again() -> Credential:
        return Credential(kind, "", _sendable(secret(), source), source, again)

    return again()


def _from_environment(prefix: str, environment: Mapping[str, str]) -> Credential | None:
    found: list[Credential] = []
    kinds: dict[str, Kind] = {"TOKEN": "bearer", "API_KEY": "api_key"}
    for name, kind in kinds.items():
        variable = f"{prefix}_{name}"
        if environment.get(variable):
            found.append(Credential(kind, "", _sendable(environment[variable], variable), variable))
    user = environment.get(f"{prefix}_USER")
    if user:
        variable = f"{prefix}_PASSWORD"
        if not environment.get(variable):
            raise UsageError(f"{prefix}_USER is set, {variable} is not", hint="set both, or a token")
        found.append(Credential("basic", user, _sendable(environment[variable], variable), variable))
    if len(found) > 1:
        names = " and ".join(one.source for one in found)
        raise UsageError(f"{names} are set", hint="unset all but one")
    return found[0] if found else None


def _from_keyring(prefix: str, kind: Kind) -> Credential | None:
    """Return what the system's keyring holds for service `keytrip`, user `KEYTRIP_NAME`; it needs keytrip[keyring]."""
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return None
    try:
        secret = keyring.get_password(_SERVICE, prefix)
    except KeyringError:
        return None
    source = f"the keyring ({_SERVICE}, {prefix})"
    return Credential(kind, "", _sendable(secret, source), source) if secret else None


def _from_tls(prefix: str, environment: Mapping[str, str]) -> Credential:
    variable = f"{prefix}_CLIENT_CERT"
    return Credential("client_cert", source=variable) if environment.get(variable) else Credential()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no text", hint="it holds the token alone") from None
    except OSError as error:
        raise SystemRefusedError(f"{path}: {error.strerror}", hint="--token-file names a readable file") from None


def _run(command: str) -> str:
    """Return what a command writes; its standard error and input are the user's terminal."""
    try:
        words = shlex.split(command)
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, timeout=_PATIENCE, check=False)
    except UnicodeDecodeError:
        raise UsageError("--token-command writes no text", hint="it writes the token alone") from None
    except (ValueError, IndexError):
        raise UsageError("--token-command is no command line", hint="such as 'pass show siem'") from None
    except subprocess.TimeoutExpired:
        raise SystemRefusedError(f"--token-command took over {_PATIENCE:.0f} s", hint="run it by hand") from None
    except OSError as error:
        raise SystemRefusedError(f"--token-command: {words[0]}: {error.strerror}", hint="run it by hand") from None
    if done.returncode:
        raise SystemRefusedError(f"--token-command: {words[0]} exited {done.returncode}", hint="run it by hand")
    return done.stdout


def _sendable(secret: str, source: str) -> str:
    """Return a secret that a header can hold: one line of visible ASCII, or a password's UTF-8."""
    stripped = secret.strip("\r\n\t ")
    if not stripped:
        raise UsageError(f"{source} is empty", hint="it holds the secret alone")
    if not stripped.isprintable():
        raise UsageError(f"{source} holds more than one line of text", hint="it holds the secret alone")
    return stripped
