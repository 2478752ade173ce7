"""Secrets come from files, commands, the environment or the keyring, and are seen nowhere. No server is used."""

from __future__ import annotations

import secrets
import sys
import types
from pathlib import Path

import pytest

from keytrip.errors import KeytripError, SystemRefusedError, UsageError
from keytrip.export.connection import Connection, Given, connection_to, prefix_of
from keytrip.export.credentials import Credential, SecretPlace, credential_for
from keytrip.export.manifest import Manifest

PREFIX = "KEYTRIP_THERE"
SECRET = f"made-up-{secrets.token_hex(12)}"
HTTPS = "https://siem.example:8089"


def manifest(**members: object) -> Manifest:
    """A destination called `there`."""
    return Manifest.model_validate({"name": "there", "about": "x", "transport": "splunk", **members})


def found(place: SecretPlace | None = None, **environment: str) -> Credential:
    """The credential of `there`."""
    return credential_for(PREFIX, "bearer", place or SecretPlace(), environment)


def test_a_secret_is_read_where_the_user_says(tmp_path: Path) -> None:
    """A file and a command give a token, and give it anew when it is asked again."""
    path = tmp_path / "token"
    path.write_text(f"{SECRET}\n", encoding="utf-8")
    command = f"{sys.executable} -c \"print(open('{path}').read())\""
    for place in (SecretPlace(token_file=path), SecretPlace(token_command=command)):
        path.write_text(f"{SECRET}\n", encoding="utf-8")
        first = found(place)
        assert (first.kind, first.secret) == ("bearer", SECRET)
        path.write_text("next", encoding="utf-8")
        assert first.again is not None
        assert first.again().secret == "next"  # noqa: S105 - made up


def test_the_environment_says_which_kind() -> None:
    """Each variable is one kind of credential; none is none."""
    assert found(KEYTRIP_THERE_TOKEN=SECRET).kind == "bearer"
    assert found(KEYTRIP_THERE_API_KEY=SECRET).kind == "api_key"
    basic = found(KEYTRIP_THERE_USER="anna", KEYTRIP_THERE_PASSWORD=SECRET)
    assert (basic.kind, basic.user, basic.secret) == ("basic", "anna", SECRET)
    assert found(KEYTRIP_THERE_CLIENT_CERT="client.pem").kind == "client_cert"
    assert found().kind == "none"


def test_a_secret_is_in_no_repr(tmp_path: Path) -> None:
    """Tracebacks and logs that print a credential or a connection do not print the secret."""
    credential = found(KEYTRIP_THERE_TOKEN=SECRET)
    assert SECRET not in repr(credential) + repr(Connection("x", credential, proxy=f"http://u:{SECRET}@proxy"))


def wrong(tmp_path: Path) -> dict[str, tuple[SecretPlace, dict[str, str]]]:
    """Ways to say no secret."""
    (tmp_path / "empty").write_text("\n", encoding="utf-8")
    (tmp_path / "two").write_text(f"{SECRET}\nHost: evil\n", encoding="utf-8")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    failing = f"{sys.executable} -c \"print('{SECRET}'); raise SystemExit(4)\""
    writing = f'{sys.executable} -c "import sys; sys.stdout.buffer.write(bytes([255]))"'
    return {
        "say the secret": (SecretPlace(tmp_path / "empty", "true"), {}),
        "empty is empty": (SecretPlace(tmp_path / "empty"), {}),
        "more than one line": (SecretPlace(tmp_path / "two"), {}),
        "is no text": (SecretPlace(tmp_path / "bytes"), {}),
        "No such file": (SecretPlace(tmp_path / "nothing"), {}),
        "exited 4": (SecretPlace(token_command=failing), {}),
        "writes no text": (SecretPlace(token_command=writing), {}),
        "no command line": (SecretPlace(None, "'"), {}),
        "nothing_of_that_name": (SecretPlace(None, "nothing_of_that_name"), {}),
        "are set": (SecretPlace(), {f"{PREFIX}_TOKEN": SECRET, f"{PREFIX}_API_KEY": SECRET}),
        "PASSWORD is not": (SecretPlace(), {f"{PREFIX}_USER": "anna"}),
    }


def test_what_is_no_secret_is_told_without_it(tmp_path: Path) -> None:
    """Each way to say no secret has its words, and none of them holds what was read."""
    for words, (place, environment) in wrong(tmp_path).items():
        with pytest.raises((UsageError, SystemRefusedError), match=words) as told:
            credential_for(PREFIX, "bearer", place, environment)
        assert SECRET not in str(told.value)
        assert told.value.__cause__ is None


def test_the_keyring_is_asked_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """With keytrip[keyring] the system's keyring holds the token under the destination's prefix."""
    asked = []
    errors = types.ModuleType("keyring.errors")
    errors.KeyringError = OSError  # type: ignore[attr-defined]
    keyring = types.ModuleType("keyring")
    keyring.get_password = lambda *names: asked.append(names) or SECRET  # type: ignore[attr-defined, func-returns-value]
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    assert found(KEYTRIP_THERE_API_KEY="own").secret == "own"  # noqa: S105 - made up
    assert asked == []
    assert (found().secret, asked) == (SECRET, [("keytrip", PREFIX)])

    def locked(*names: str) -> str:
        raise OSError

    keyring.get_password = locked  # type: ignore[attr-defined]
    assert found().kind == "none"


def test_a_connection_is_what_option_environment_and_manifest_say(tmp_path: Path) -> None:
    """The command line stands over the environment, which stands over the manifest's defaults."""
    pem = tmp_path / "ca.pem"
    pem.touch()
    environment = {f"{PREFIX}_URL": "https://other", f"{PREFIX}_APP": "search", f"{PREFIX}_CA_FILE": str(pem)}
    there = manifest(options={"app": "keytrip", "owner": "nobody"})
    connection = connection_to(there, Given(url=f"{HTTPS}/"), environment, local=False)
    assert connection == Connection(HTTPS, ca_file=pem, options={"app": "search", "owner": "nobody"})
    given = Given(ca_file=pem, proxy="http://proxy:8080", options=["app=mine"])
    connection = connection_to(there, given, environment, local=False)
    assert (connection.url, connection.proxy) == ("https://other", "http://proxy:8080")
    assert connection.options["app"] == "mine"
    assert prefix_of("my-siem 2") == "KEYTRIP_MY_SIEM_2"
    assert connection_to(there, Given(url="export"), {}, local=True).url == "export"


REFUSED = {
    "where is the server": Given(),
    "no address of a server": Given(url="ftp://siem"),
    "--url is no address;": Given(url="https://siem:port"),
    "a user or a password": Given(url=f"https://anna:{SECRET}@siem"),
    "after its path": Given(url=f"{HTTPS}?token={SECRET}"),
    "plain HTTP": Given(url="http://siem"),
    "--proxy holds": Given(url=HTTPS, proxy=f"http://anna:{SECRET}@proxy"),
    "there is no file": Given(url=HTTPS, ca_file=Path("nothing.pem")),
    "no NAME=VALUE": Given(url=HTTPS, options=["app"]),
    "did you mean app": Given(url=HTTPS, options=["aps=x"]),
    "one of: app": Given(url=HTTPS, options=["zzz=x"]),
}


@pytest.mark.parametrize("words", REFUSED)
def test_a_connection_that_cannot_be_meant_is_refused(words: str) -> None:
    """What is wrong is told with what to do, and never with the secret."""
    with pytest.raises(KeytripError, match=words) as told:
        connection_to(manifest(options={"app": "keytrip"}), REFUSED[words], {}, local=False)
    assert SECRET not in str(told.value)
    assert told.value.hint


def test_plain_http_is_taken_when_the_user_insists() -> None:
    """`--insecure` is for a test server on one's own machine."""
    assert connection_to(manifest(), Given(url="http://siem", insecure=True), {}, local=False).insecure
    with pytest.raises(UsageError, match="into which folder"):
        connection_to(manifest(), Given(), {}, local=True)
    with pytest.raises(UsageError, match="it has none"):
        connection_to(manifest(), Given(url=HTTPS, options=["x=y"]), {}, local=False)
