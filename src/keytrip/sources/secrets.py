"""Keys in clear never stay: HMAC under a local key file, and masking of what people get to see."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from pathlib import Path

from keytrip.errors import DataError, Place, SystemRefusedError

# Shapes of live keys: a prefix that providers document (OpenAI, Anthropic, OpenRouter and others; Cerebras, Groq, xAI,
# Perplexity, NVIDIA, Hugging Face, Replicate, Together, Fireworks, LangSmith, Pinecone, Vercel, Google, AWS), at least
# 16 more characters of the key alphabet, without the dots of a masked key; or a signed token.
_PREFIXES = r"sk-|sk_|csk-|gsk_|xai-|pplx-|nvapi-|hf_|r8_|tgp_v1_|fw_|lsv2_|pcsk_|vck_|AIza|AQ\.|ABSK|bedrock-api-key-"
_SHAPE = rf"((?:{_PREFIXES})[A-Za-z0-9_\-+/=]{{16,}}|eyJ[A-Za-z0-9_\-]{{10,}}\.[A-Za-z0-9_\-.]{{16,}})"
# What goes by `Bearer` is a secret whatever it looks like. RE2 and Python read this alike.
SECRET = rf"^[Bb]earer +(\S{{8,}})$|(?:^|[^A-Za-z0-9]){_SHAPE}"
SHORTEST = 15  # characters of the shortest text that SECRET finds
# In other texts a key stands alone, as a word: `task-` and `risk-` begin none.
WITHIN = rf"(?:^|[^A-Za-z0-9]){_SHAPE}"
SHORTEST_WITHIN = 19
_WITHIN = re.compile(rf"(^|[^A-Za-z0-9]){_SHAPE}")
_SURELY = 32
_SECRET = re.compile(SECRET)
_ANYWHERE = re.compile(_SHAPE)
_BEARER = re.compile(r"([Bb]earer +)(?!\S*\.\.)[^\s\"',;]{8,}")
_KEY_BYTES = 32


def mask(text: str) -> str:
    """Return `text` with every key in clear cut to its first four characters."""
    return _ANYWHERE.sub(lambda m: m.group(0)[:4] + "***", _BEARER.sub(r"\1***", text))


def hide_within(text: str) -> str:
    """Return a text without the keys in clear that stand in it, where a name such as `sk-learn-...` may stand too."""
    return _WITHIN.sub(lambda m: m.group(1) + mask(m.group(2)) if _sure(m.group(2)) else m.group(0), text)


def _sure(shape: str) -> bool:
    return len(shape) >= _SURELY or any(character.isdigit() for character in shape)


def secret_in(text: str) -> str:
    """Return the key in clear that a key id holds, without what surrounds it, or an empty string."""
    match = _SECRET.search(text)
    return next(filter(None, match.groups()), "") if match and not masked(text) else ""


def masked(text: str) -> bool:
    """Whether a key was masked before it was logged: its middle is dots."""
    return ".." in text


def hmac_key(path: Path) -> bytes:
    """Return the local HMAC key, made with mode 0600 on first use.

    Raises:
        DataError: The file is no key.
        SystemRefusedError: It cannot be made.
    """
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _create(path)
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError as error:
        raise DataError("is no HMAC key file", place=Place(str(path)), hint="it holds 64 hex digits") from error
    except OSError as error:
        raise SystemRefusedError(f"no HMAC key file ({error.strerror})", place=Place(str(path))) from error
    if len(key) != _KEY_BYTES:
        raise DataError("is no HMAC key file", place=Place(str(path)), hint="it holds 64 hex digits")
    return key


def _create(path: Path) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(os.urandom(_KEY_BYTES).hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(part, path)  # fails where another process was first: its key stays
    except FileExistsError:
        pass
    finally:
        part.unlink()


def pseudonym(secret: str, key: bytes) -> str:
    """Return `hmac-` and 32 hex digits of HMAC-SHA256 of `secret`."""
    return "hmac-" + hmac.new(key, secret.encode(), hashlib.sha256).hexdigest()[:32]
