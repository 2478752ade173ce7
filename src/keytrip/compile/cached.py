"""Rules compiled for several targets, each text kept by the hash of everything that it comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from keytrip.compile.cache import digest_of_compiler, digest_of_text, keep_text, kept_text
from keytrip.compile.targets import Compiled, compile_to, targets_named
from keytrip.errors import KeytripError
from keytrip.rules.filters import filters_of
from keytrip.rules.load import with_bases

if TYPE_CHECKING:
    from keytrip.rules.load import Document


def compile_cached(
    targets: Sequence[str],
    chosen: Sequence[Document],
    documents: Sequence[Document],
    packs: tuple[Path, ...] = (),
    folder: Path | None = None,
    options: Mapping[str, str] = MappingProxyType({}),
) -> list[Compiled]:
    """Return each chosen rule compiled for each target: target by target, the rules in order.

    Args:
        targets: Their names; `all` stands for every one.
        chosen: The rules.
        documents: All rules and filters, as `load_rules` returns them.
        packs: User packs.
        folder: Where texts are kept, one file a rule and target; None compiles afresh.
        options: Of every target's backend.

    Raises:
        UsageError: There is no such target, or one has no such option.
    """
    names = targets_named(targets)
    if folder is None:
        return [one for target in names for one in compile_to(target, chosen, documents, packs, options)]
    compiler = digest_of_text(digest_of_compiler(packs), repr(sorted(options.items())))
    filters = filters_of(documents)
    keys = [_key(compiler, document, documents, filters) for document in chosen]
    found: list[Compiled] = []
    for target in names:
        paths = [folder / "texts" / target / f"{_name(document)}.json" for document in chosen]
        kept = [_kept(path, key) for path, key in zip(paths, keys, strict=True)]
        lacking = [document for document, one in zip(chosen, kept, strict=True) if one is None]
        # the backend, and pySigma below it, are only loaded for what has changed
        made = iter(compile_to(target, lacking, documents, packs, options) if lacking else ())
        for path, key, one in zip(paths, keys, kept, strict=True):
            found.append(one or _keep(path, key, next(made)))
    return found


def _key(compiler: str, document: Document, documents: Sequence[Document], filters: Sequence[Document]) -> str:
    """Return the hash of what a rule's texts come from, or an empty string for a rule that is not kept."""
    try:
        parts = [*with_bases([document], documents), *filters]
        texts = [repr((str(part.path), part.line, part.data, sorted(part.variables.items()))) for part in parts]
    except (KeytripError, ValueError, RecursionError):
        # a base is missing, or a value cannot be written: what is wrong with the rule is said by the compiler
        return ""
    return digest_of_text(compiler, *texts)


def _name(document: Document) -> str:
    """Return a file name that stays a rule's, so that a changed text takes the place of the old one."""
    return digest_of_text(str(document.path.absolute()), document.name)[:32]


def _kept(path: Path, key: str) -> Compiled | None:
    body = kept_text(path, key) if key else None
    if body is None:
        return None
    members = json.loads(body)
    return Compiled(**members | {"deviations": tuple(members["deviations"])})


def _keep(path: Path, key: str, made: Compiled) -> Compiled:
    if key:
        keep_text(path, key, json.dumps(asdict(made)))
    return made
