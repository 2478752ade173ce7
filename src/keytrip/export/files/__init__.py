"""The transport of file destinations: tables, compiled rules and templates into a folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keytrip import __version__
from keytrip.baselines.jobs import load_jobs
from keytrip.baselines.snapshots import active_snapshot, export_tables
from keytrip.baselines.store import Store
from keytrip.compile.targets import compile_to
from keytrip.export.files.folder import write_compiled, write_text
from keytrip.export.manifest import Manifest
from keytrip.rules.load import alerting, load_rules
from keytrip.rules.selection import Selection, choose


def apply_files(manifest: Manifest, store: Store, packs: tuple[Path, ...], out: Path) -> list[dict[str, Any]]:
    """Write a destination's files into `out`; return a row for each.

    Raises:
        DataError: The store has no snapshot.
    """
    snapshot = active_snapshot(store)
    tables = list(_tables(manifest, store, snapshot.number, packs, out, snapshot.manifest["rows"]))
    targets = [_target(name, packs, out) for name in manifest.targets]
    context = {
        "snapshot": snapshot.number,
        "window": snapshot.manifest["window"],
        "version": __version__,
        "tables": tables,
        "targets": targets,
    }
    rows = [{"file": t["file"], "rows": t["rows"], "what": "baseline table"} for t in tables]
    rows += [{"file": t["folder"], "rows": t["compiled"], "what": f"rules for {t['name']}"} for t in targets]
    rows += [{"file": path, "rows": None, "what": "text"} for path in _templates(manifest, context, out)]
    return rows


def _tables(
    manifest: Manifest, store: Store, number: int, packs: tuple[Path, ...], out: Path, rows: Mapping[str, int]
) -> Iterator[dict[str, Any]]:
    import duckdb

    if manifest.tables is None:
        return
    jobs = load_jobs(packs)
    con = duckdb.connect()
    for path in export_tables(con, store, number, jobs, out / "tables", manifest.tables):
        file = path.relative_to(out).as_posix()
        yield {"file": file, "rows": rows[path.stem], "key": jobs[path.stem].table_key}
    con.close()


def _target(name: str, packs: tuple[Path, ...], out: Path) -> dict[str, Any]:
    documents = load_rules(packs)
    results = compile_to(name, choose(alerting(documents), Selection()), documents, packs)
    write_compiled(results, out / "rules" / name)
    compiled = sum(bool(r.text) for r in results)
    return {"name": name, "folder": f"rules/{name}", "compiled": compiled, "refused": len(results) - compiled}


def _templates(manifest: Manifest, context: Mapping[str, Any], out: Path) -> Iterator[str]:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(manifest.folder),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - Markdown of our own values
        keep_trailing_newline=True,
    )
    for template in manifest.templates:
        write_text(out / template.path, environment.get_template(template.template).render(context))
        yield template.path
