"""Commands on content: rules, check, test, compile."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from keytrip.cli import options as opt
from keytrip.cli.output import Format, harmless, note, show, write

_PANEL = "Content"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("rules", rich_help_panel=_PANEL)(rules)
    app.command("check", rich_help_panel=_PANEL)(check)
    app.command("test", rich_help_panel=_PANEL)(test)
    app.command("compile", rich_help_panel=_PANEL)(compile_)


RuleNames = Annotated[list[str] | None, typer.Argument(help="Rule names or patterns; all if left out.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="Rules with this tag; repeatable.")]
Level = Annotated[str | None, typer.Option("--level", help="Rules of this level and above.")]


def _chosen(
    documents: list[Any], names: list[str] | None, tags: list[str] | None, level: str | None = None, *, loud: bool
) -> list[Any]:
    from keytrip.rules.load import alerting
    from keytrip.rules.selection import Selection, choose

    wanted = tuple(names or (("*",) if loud and not tags else ()))
    return choose(alerting(documents), Selection(wanted, tuple(tags or ()), level))


def rules(
    names: RuleNames = None,
    tag: Tags = None,
    level: Level = None,
    pack: opt.Packs = None,
    form: opt.FormatOption = Format.table,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """List rules, or show one in full with its triage text.

    \b
    Examples:
      keytrip rules --level high
      keytrip rules key_new_network
    """
    from keytrip.rules.load import load_rules

    chosen = _chosen(load_rules(tuple(pack or ())), names, tag, level, loud=True)
    if form is Format.table and names and len(chosen) == 1:
        write(_in_full(chosen[0]))
        return 0
    rows = [
        {"rule": d.name, "level": d.level, "title": d.data.get("title"), "tags": " ".join(d.tags), "file": str(d.path)}
        for d in chosen
    ]
    columns = ("rule", "level", "title") if form is Format.table else ("rule", "level", "title", "tags", "file")
    show(rows, columns, form)
    return 0


def _in_full(document: Any) -> str:
    import yaml

    members = {k: v for k, v in document.data.items() if k != "tests"}
    return str(yaml.safe_dump(members, sort_keys=False, allow_unicode=True, width=110))


def check(
    paths: Annotated[list[Path] | None, typer.Argument(help="Files or folders; else all of our content.")] = None,
    pack: opt.Packs = None,
    var: opt.Vars = None,
    form: opt.FormatOption = Format.table,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Find every problem in rules, baselines, pipelines and exporters: `path:line: rule: problem; what to write`.

    \b
    Examples:
      keytrip check
      keytrip check --pack mypack --format json
    """
    from keytrip.compile.check import check_content, in_order
    from keytrip.export.check import check_destinations

    where = tuple(pack or ()), tuple(paths or ())
    problems = in_order([*check_content(*where, opt.variables(var)), *check_destinations(*where)])
    if form is Format.table:
        write("".join(f"{harmless(p)}\n" for p in problems))
    else:
        rows = [
            {"path": p.place.path, "line": p.place.line, "rule": p.place.rule, "problem": p.message, "hint": p.hint}
            for p in problems
        ]
        show(rows, ("path", "line", "rule", "problem", "hint"), form)
    note(f"{len(problems)} problem{'' if len(problems) == 1 else 's'}", quiet=quiet)
    return int(bool(problems))


def test(
    names: RuleNames = None,
    pack: opt.Packs = None,
    var: opt.Vars = None,
    form: opt.FormatOption = Format.table,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Run the rules' own cases in DuckDB.

    \b
    Examples:
      keytrip test
      keytrip test 'reference_*'
    """
    from keytrip.hunt.casetest import run_cases
    from keytrip.rules.filters import filters_of
    from keytrip.rules.load import load_rules, with_bases

    packs = tuple(pack or ())
    documents = load_rules(packs, opt.variables(var))
    chosen = _chosen(documents, names, None, loud=True)
    results = run_cases([*with_bases(chosen, documents), *filters_of(documents)], packs)
    failed = [r for r in results if not r.passed]
    if form is not Format.table:
        rows = [{"rule": r.rule, "case": r.case, "passed": r.passed, "detail": r.report} for r in results]
        show(rows, ("rule", "case", "passed", "detail"), form)
    else:
        write("".join(f"{r.report}\n" for r in failed))
    note(f"{len(results) - len(failed)} cases passed, {len(failed)} failed", quiet=quiet)
    return int(bool(failed))


def compile_(
    names: RuleNames = None,
    target: Annotated[str, typer.Option("--target", "-t", help="splunk, esql or duckdb.")] = "splunk",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for one file a rule and index.json.")] = None,
    tag: Tags = None,
    pack: opt.Packs = None,
    var: opt.Vars = None,
    form: opt.FormatOption = Format.table,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Turn rules into queries: one to standard output, or all of them into a folder.

    \b
    Examples:
      keytrip compile key_new_network --target esql
      keytrip compile --target splunk --out compiled/splunk
    """
    from keytrip.compile.targets import compile_to
    from keytrip.rules.load import load_rules

    packs = tuple(pack or ())
    documents = load_rules(packs, opt.variables(var))
    results = compile_to(target, _chosen(documents, names, tag, loud=False), documents, packs)
    if out is not None:
        from keytrip.export.folder import write_compiled

        changed = write_compiled(results, out)
        for line in changed:
            note(line, quiet=quiet)
        show([r.as_json() for r in results], ("rule", "file", "status", "reason"), form)
    else:
        write("\n".join(r.text for r in results if r.text))
        for r in results:
            if not r.text:
                note(f"{r.rule} refused: {r.reason}")
    return int(any(not r.text for r in results))
