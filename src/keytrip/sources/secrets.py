"""Keys in clear never stay: HMAC under a local key file, and masking of what people get to see."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from pathlib import Path

from keytrip.errors import DataError, Place, SystemRefusedError

# Shapes of live keys (OpenAI, Anthropic, OpenRouter, Groq, Google, xAI, Hugging Face, Replicate, AWS bearer): a known
# prefix and at least 16 more characters of the key alphabet, without the dots of a masked key.
SECRET = r"(sk-|sk_|gsk_|xai-|pplx-|hf_|r8_|AIza|ABSK|bedrock-api-key-)[A-Za-z0-9_\-+/=]{16,}"
_SECRET = re.compile(SECRET)
_KEY_BYTES = 32


def mask(text: str) -> str:
    """Return `text` with every key in clear cut to its first four characters."""
    return _SECRET.sub(lambda m: m.group(0)[:4] + "***", text)


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
