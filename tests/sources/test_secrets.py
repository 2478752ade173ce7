"""Keys in clear: pseudonyms, masking, and the local key file."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import stat
import string
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keytrip.errors import DataError, SystemRefusedError
from keytrip.sources.secrets import hide_within, hmac_key, mask, pseudonym, secret_in

if TYPE_CHECKING:
    from sources.conftest import ReadBytes, Reader

_ALPHABET = string.ascii_letters + string.digits
_PREFIXES = [
    "sk-", "sk-proj-", "sk-svcacct-", "sk-ant-" + "api03-", "sk-or-v1-", "csk-", "gsk_", "xai-", "pplx-", "nvapi-",
    "hf_", "r8_",
    "tgp_v1_", "fw_", "AI" + "za", "AQ" + ".", "AB" + "SK", "bedrock-api-key-", "vck_", "pcsk_",
]  # fmt: skip
_KEYS = st.builds(
    lambda prefix, body: prefix + body,
    st.sampled_from(_PREFIXES),
    st.text(_ALPHABET + "_-", min_size=20, max_size=80).map(lambda body: f"4{body}"),
)
_AROUND = st.text(" \t\n\"',;:()[]{}<>/=?&", max_size=4)


def _live(prefix: str = "sk-proj-") -> str:
    """A key as a provider would make it, made for this run and known to nobody."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(48))


@given(_KEYS, _AROUND, _AROUND)
def test_no_key_survives_masking(key: str, before: str, after: str) -> None:
    """Whatever stands around a key, no more than its first four characters are left."""
    text = mask(f"x {before}{key}{after} y")

    assert key[:12] not in text
    assert key[:4] + "***" in text


@given(_KEYS, _AROUND, _AROUND)
def test_no_key_survives_in_a_text_field(key: str, before: str, after: str) -> None:
    """A key that stands in a text as a word of its own is cut out of it."""
    assert key not in hide_within(f"{before} {key} {after}")


@given(st.text(max_size=60))
def test_masking_twice_is_masking_once(text: str) -> None:
    """What was masked is no key any more."""
    assert mask(mask(text)) == mask(text)


@pytest.mark.parametrize(
    "text",
    [
        "key_abc123",
        "sk-proj-e6Po...2DHY",
        "sk-...ab12",
        "apikey_01XyZ",
        "task-management-service-1234",
        "risk-assessment-team-2026",
        "sk-learn-pipeline-worker",
        "hmac-0123456789abcdef0123456789abcdef",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "",
    ],
)
def test_names_and_masked_keys_stay(text: str) -> None:
    """Identifiers, hashes, hints and words that only look alike are left as they are in text fields."""
    assert hide_within(text) == text
    assert secret_in(text) == "" or text == "sk-learn-pipeline-worker"


def test_bearer_makes_a_secret_of_anything() -> None:
    """What an Authorization header carries is a secret, whatever its shape."""
    token = secrets.token_hex(16)

    assert secret_in(f"Bearer {token}") == token
    assert token not in mask(f'"authorization": "Bearer {token}"')
    assert secret_in(f"Bearer {token[:4]}...{token[-4:]}") == ""


def test_a_pseudonym_is_the_hmac_of_the_key_alone(read_bytes: ReadBytes, reader: Reader) -> None:
    """The key, `Bearer` and the key, and the key in quotes are one key id: hmac- and 32 hex of HMAC-SHA256."""
    key = _live()
    lines = [
        json.dumps({"timestamp": "2026-04-01", "key_id": text}) for text in (key, f"Bearer {key}", f'"{key}"', "key_1")
    ]
    rows = read_bytes({"a.ndjson": "\n".join(lines).encode()}).rows
    expected = "hmac-" + hmac.new(reader.key, key.encode(), hashlib.sha256).hexdigest()[:32]

    assert sorted(row["key_id"] for row in rows) == sorted([expected] * 3 + ["key_1"])
    assert pseudonym(key, reader.key) == expected
    assert pseudonym(key, os.urandom(32)) != expected


@pytest.mark.parametrize("prefix", _PREFIXES)
def test_every_known_prefix_is_hidden_in_the_key_id(read_bytes: ReadBytes, prefix: str) -> None:
    """A live key of any known provider never stays the key id, in quick and in line by line reading."""
    key = _live(prefix)
    record = json.dumps({"timestamp": "2026-04-01", "key_id": key}).encode()

    for content in (record, record + b"\nbroken"):
        rows = read_bytes({"a.ndjson": content}).rows
        assert rows[0]["key_id"].startswith("hmac-")


def test_a_key_in_any_text_is_hidden(read_bytes: ReadBytes) -> None:
    """A client that puts its key into another field does not get it stored."""
    key = _live()
    names = ("key_label", "project", "user", "model", "model_raw", "endpoint", "user_agent")
    record = {"timestamp": "2026-04-01", "key_id": "k"} | dict.fromkeys(names, f"a {key} b")
    row = read_bytes({"a.ndjson": json.dumps(record).encode()}).rows[0]

    assert {row[name] for name in names} == {"a sk-p*** b"}


def test_rejects_never_show_a_key(read_bytes: ReadBytes) -> None:
    """A line that is set aside shows how it began, but for its keys, even one that the cut would halve."""
    key = _live()
    lines = [
        f'{{"key_id": "{key}", "cost_usd": "x"}}',
        f"garbage {key}",
        "x" * 290 + " " + key,
        f'["{key}"]',
        f"\0{key}",
    ]
    reading = read_bytes({"a.ndjson": "\n".join(lines).encode(), "b.csv": f"key_id,user\n{key}\n{key},u\n".encode()})

    assert len(reading.rejects) == 6
    assert all(key[:12] not in text for text in reading.texts)
    assert all(key[:12] not in reason for _, _, reason in reading.rejects)


def test_the_key_file_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    """On first use the file is made with mode 0600 (and its folder); after that it is read."""
    path = tmp_path / "store" / "hmac.key"
    key = hmac_key(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(key) == 32
    assert hmac_key(path) == key
    assert [p.name for p in path.parent.iterdir()] == ["hmac.key"]


def test_whoever_comes_second_takes_the_first_ones_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes that begin at once end up with one key."""
    path = tmp_path / "hmac.key"
    other = os.urandom(32)
    link = os.link

    def late(source: Path, target: Path) -> None:
        path.write_text(other.hex(), encoding="ascii")
        link(source, target)

    monkeypatch.setattr(os, "link", late)

    assert hmac_key(path) == other
    assert [p.name for p in tmp_path.iterdir()] == ["hmac.key"]


@pytest.mark.parametrize("content", ["", "abc", "zz" * 32, "00" * 31, "é"])
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, content: str) -> None:
    """A wrong file is named, with what it should hold."""
    path = tmp_path / "hmac.key"
    path.write_text(content, encoding="utf-8")

    with pytest.raises(DataError, match=r"hmac\.key: is no HMAC key file; it holds 64 hex digits"):
        hmac_key(path)


def test_a_key_file_that_cannot_be_had_is_refused(tmp_path: Path) -> None:
    """Where the system refuses, its reason is said."""
    (tmp_path / "hmac.key").mkdir()

    with pytest.raises(SystemRefusedError, match="no HMAC key file"):
        hmac_key(tmp_path / "hmac.key")
    with pytest.raises(SystemRefusedError, match="no HMAC key file"):
        hmac_key(Path(os.devnull) / "hmac.key")


def test_the_key_is_asked_for_only_where_a_log_carries_a_secret(
    read_bytes: ReadBytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log of identifiers needs no key, so none is made."""
    asked: list[object] = []
    monkeypatch.setattr("keytrip.sources.passes.hide_keys", lambda *_: asked.append(1))
    name = "key_" + "a1" * 12

    assert (
        read_bytes({"a.ndjson": f'{{"timestamp": "2026-04-01", "key_id": "{name}"}}'.encode()}).rows[0]["key_id"]
        == name
    )
    assert asked == []
    read_bytes({"a.ndjson": f'{{"timestamp": "2026-04-01", "key_id": "{_live()}"}}'.encode()})
    assert asked == [1]
