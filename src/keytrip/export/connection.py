"""Where a destination is and how it is reached: options first, then the environment, then the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from keytrip.errors import UsageError
from keytrip.export.credentials import Credential, SecretPlace, credential_for
from keytrip.export.manifest import Manifest


@dataclass(frozen=True)
class Connection:
    """How a destination is reached.

    Attributes:
        url: Of the server; of a destination that is a folder, its path.
        credential: Who we are there.
        ca_file: Certificates to trust instead of the system's.
        insecure: Whether plain HTTP and certificates that nobody vouches for are taken.
        client_cert, client_key: For TLS.
        proxy: URL of a proxy.
        timeout: Seconds for one request.
        options: The destination's own settings, each of which its manifest names.
    """

    url: str
    credential: Credential = field(default_factory=Credential)
    ca_file: Path | None = None
    insecure: bool = False
    client_cert: Path | None = None
    client_key: Path | None = None
    proxy: str | None = field(default=None, repr=False)
    timeout: float = 60
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Given:
    """What the command line says of a connection."""

    url: str | None = None
    ca_file: Path | None = None
    insecure: bool = False
    proxy: str | None = None
    place: SecretPlace = field(default_factory=SecretPlace)
    options: Sequence[str] = ()


def prefix_of(name: str) -> str:
    """Return what the environment variables of a destination begin with."""
    return "KEYTRIP_" + "".join(c if c.isalnum() and c.isascii() else "_" for c in name.upper())


def connection_to(manifest: Manifest, given: Given, environment: Mapping[str, str], *, local: bool) -> Connection:
    """Return how a destination is reached.

    Args:
        manifest: The destination's.
        given: The command line's word.
        environment: The process's.
        local: Whether the destination is a folder.

    Raises:
        UsageError: Nobody says where it is, or what they say cannot be meant.
        SystemRefusedError: The secret cannot be read.
    """
    prefix = prefix_of(manifest.name)
    options = _options(manifest, given.options, environment)
    url = given.url or environment.get(f"{prefix}_URL") or ""
    if local:
        if not url:
            raise UsageError(f"{manifest.name}: into which folder?", hint=f"say --url FOLDER, or set {prefix}_URL")
        return Connection(url, options=options)
    _checked_url(url, prefix, insecure=given.insecure)
    if given.proxy and "@" in given.proxy:
        problem = "--proxy holds a user or a password, which every process of this machine can read"
        raise UsageError(problem, hint=f"set {prefix}_PROXY")
    files = {name: _file(environment.get(f"{prefix}_{name}"), f"{prefix}_{name}") for name in _FILES}
    return Connection(
        url=url.rstrip("/"),
        credential=credential_for(prefix, manifest.credential, given.place, environment),
        ca_file=_file(str(given.ca_file), "--ca-file") if given.ca_file else files["CA_FILE"],
        insecure=given.insecure,
        client_cert=files["CLIENT_CERT"],
        client_key=files["CLIENT_KEY"],
        proxy=given.proxy or environment.get(f"{prefix}_PROXY"),
        options=options,
    )


_FILES = ("CA_FILE", "CLIENT_CERT", "CLIENT_KEY")


def _checked_url(url: str, prefix: str, *, insecure: bool) -> None:
    if not url:
        raise UsageError("where is the server?", hint=f"say --url https://HOST:PORT, or set {prefix}_URL")
    parts = _split(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise UsageError(f"--url {parts.scheme}://... is no address of a server", hint="such as https://siem:8089")
    if parts.username is not None or parts.password is not None:
        raise UsageError("--url holds a user or a password", hint=f"leave it out and set {prefix}_TOKEN or the like")
    if parts.query or parts.fragment:
        raise UsageError("--url goes on after its path", hint="leave out what follows ? or #")
    if parts.scheme == "http" and not insecure:
        raise UsageError("--url is plain HTTP: anyone on the way reads the secret", hint="use https, or --insecure")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise UsageError("--url is no address", hint="such as https://siem:8089") from None
    return parts


def _file(path: str | None, said_by: str) -> Path | None:
    if not path:
        return None
    if not Path(path).is_file():
        raise UsageError(f"{said_by}: there is no file {path}", hint="name a PEM file")
    return Path(path)


def _options(manifest: Manifest, given: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    prefix = prefix_of(manifest.name)
    found = {name: environment.get(f"{prefix}_{name.upper()}", value) for name, value in manifest.options.items()}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--option {text!r} is no NAME=VALUE", hint=_known(manifest, name))
        if name not in found:
            raise UsageError(f"{manifest.name} has no option {name!r}", hint=_known(manifest, name))
        found[name] = value
    return found


def _known(manifest: Manifest, name: str) -> str:
    names = list(manifest.options)
    near = get_close_matches(name, names, 1)
    if near:
        return f"did you mean {near[0]}?"
    return "one of: " + ", ".join(names) if names else "it has none"
