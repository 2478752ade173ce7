"""Commands on content: rules, check, test, compile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from keytrip.cli import options as opt
from keytrip.cli.output import Format, harmless, note, show, write
from keytrip.cli.problems import ProblemFormat, show_problems
from keytrip.errors import ContentError, UsageError

_PANEL = "Content"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("rules", rich_help_panel=_PANEL)(rules)
    app.command("check", rich_help_panel=_PANEL)(check)
    app.command("test", rich_help_panel=_PANEL)(test)
    app.command("compile", rich_help_panel=_PANEL)(compile_)
    app.command("coverage", rich_help_panel=_PANEL)(coverage)


RuleNames = Annotated[list[str] | None, typer.Argument(help="Rule names or patterns; all if left out.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="Rules with this tag; repeatable.")]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        "-t",
        help="splunk, esql, eql, lucene, opensearch, duckdb, spark or all; repeatable.",
        show_default="splunk",
    ),
]
TargetVersion = Annotated[
    str | None, typer.Option("--target-version", help="esql: Elasticsearch's version.", show_default="8.19")
]
Level = Annotated[str | None, typer.Option("--level", help="Rules of this level and above.")]


def _chosen(
    documents: Sequence[Any], names: list[str] | None, tags: list[str] | None, level: str | None = None, *, loud: bool
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
    form: Annotated[
        ProblemFormat, typer.Option("--format", "-f", help="table, json (one object a line), csv, sarif or github.")
    ] = ProblemFormat.table,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Find every problem in rules, baselines, pipelines and exporters: `path:line: rule: problem; what to write`.

    A file that is broken hides nothing of another. `sarif` is for code scanning, `github` annotates a pull request.
    Exits 1 if there is a problem.

    \b
    Examples:
      keytrip check
      keytrip check --pack mypack --format sarif
    """
    from keytrip.compile.check import check_content, in_order
    from keytrip.export.check import check_destinations

    where = tuple(pack or ()), tuple(paths or ())
    problems = in_order([*check_content(*where, opt.variables(var)), *check_destinations(*where)])
    show_problems(problems, form)
    warnings = sum(problem.warning for problem in problems)
    told = [_counted(len(problems) - warnings, "problem"), *([_counted(warnings, "warning")] if warnings else [])]
    note(", ".join(told), quiet=quiet)
    return int(len(problems) > warnings)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def test(
    names: RuleNames = None,
    pack: opt.Packs = None,
    var: opt.Vars = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Run again on each save, until interrupted.")] = False,
    live: Annotated[
        str | None,
        typer.Option("--live", metavar="TARGET", help="Run them in a real SIEM: splunk, esql, lucene, opensearch."),
    ] = None,
    form: opt.FormatOption = Format.table,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Run the rules' own cases in DuckDB, or with --live in a real SIEM, which KEYTRIP_LIVE_... variables name.

    Of a case that fails it shows the events and baseline rows, which events matched, what was computed, and which
    conditions did not hold. Exits 1 if a case fails.

    \b
    Examples:
      keytrip test
      keytrip test 'reference_*' --format json
    """
    from keytrip.rules.load import load_rules

    packs, values = tuple(pack or ()), opt.variables(var)
    if live is not None:
        if watch:
            raise UsageError("--watch does not go with --live", hint="watch in DuckDB, then run once in the SIEM")
        return _tested_live(live, names, load_rules(packs, values), packs, form, quiet)
    if watch:
        from keytrip.cli.watch import again

        return again(packs, lambda: _tested(names, load_rules(packs, values), packs, form, quiet))
    return _tested(names, load_rules(packs, values), packs, form, quiet)


def _tested(
    names: list[str] | None, documents: Sequence[Any], packs: tuple[Path, ...], form: Format, quiet: bool
) -> int:
    from keytrip.hunt.casetest import run_cases

    return _told(run_cases(_asked(documents, names), packs), form, quiet)


def _asked(documents: Sequence[Any], names: list[str] | None) -> list[Any]:
    """Return the rules whose cases are asked for, with what they build on and the filters."""
    from keytrip.rules.filters import filters_of
    from keytrip.rules.load import with_bases

    return [*with_bases(_chosen(documents, names, None, loud=True), documents), *filters_of(documents)]


def _tested_live(
    target: str,
    names: list[str] | None,
    documents: Sequence[Any],
    packs: tuple[Path, ...],
    form: Format,
    quiet: bool,
) -> int:
    import os

    from keytrip.cli.live import run_live

    results, refused = run_live(target, _asked(documents, names), packs, os.environ)
    for name, why in sorted(refused.items()):
        note(f"skipped {name}: {why}", quiet=quiet)
    if refused and not results:
        raise ContentError(f"no rule could run in {target}", hint="try another target")
    return _told(results, form, quiet)


def _told(results: Sequence[Any], form: Format, quiet: bool) -> int:
    failed = [r for r in results if not r.passed]
    if form is not Format.table:
        rows = [{"rule": r.rule, "case": r.case, "passed": r.passed, "detail": r.report} for r in results]
        show(rows, ("rule", "case", "passed", "detail"), form)
    else:
        write("".join(f"{line}\n" for r in failed for line in map(harmless, r.report.splitlines())))
    note(f"{len(results) - len(failed)} cases passed, {len(failed)} failed", quiet=quiet)
    return int(bool(failed))


def compile_(
    names: RuleNames = None,
    target: Targets = None,
    target_version: TargetVersion = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder for one file a rule and index.json; of several targets, a folder each."
        ),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show which part of a rule became what.")] = False,
    option: opt.Options = None,
    combined: Annotated[
        bool, typer.Option("--combined", help="splunk: one search for all rules over the same events; needs --out.")
    ] = False,
    tag: Tags = None,
    pack: opt.Packs = None,
    var: opt.Vars = None,
    form: opt.FormatOption = Format.table,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Turn rules into queries: one to standard output, or all of them into a folder.

    Texts are kept by the hash of what they come from, so only what changed is compiled again. Exits 1 if a target
    refused a rule.

    \b
    Examples:
      keytrip compile key_new_network --target esql --explain
      keytrip compile --target splunk --out compiled/splunk
    """
    from keytrip.compile.cached import compile_cached
    from keytrip.compile.targets import targets_named
    from keytrip.rules.load import load_rules

    targets = targets_named(target or ("splunk",))
    if target_version is not None:
        option = [*(option or ()), f"target_version={target_version}"]
    _refuse_mixtures(targets, out, option, explain=explain, combined=combined)
    packs = tuple(pack or ())
    documents = load_rules(packs, opt.variables(var))
    chosen = _chosen(documents, names, tag, loud=False)
    if explain:
        return _explained(chosen, documents, targets[0], packs, form)
    if combined:
        results = _combined(chosen, documents, packs)
    else:
        results = compile_cached(targets, chosen, documents, packs, opt.cache_dir(), opt.target_options(option))
    if out is not None:
        _written(results, out, targets, form, quiet=quiet)
    else:
        _printed(results)
    return int(any(not r.text for r in results))


def _refuse_mixtures(
    targets: Sequence[str], out: Path | None, option: Sequence[str] | None, *, explain: bool, combined: bool
) -> None:
    """Refuse what does not go together.

    Raises:
        UsageError: It does not.
    """
    if len(targets) > 1 and (explain or out is None):
        problem = "several targets are explained" if explain else "several targets are printed"
        raise UsageError(f"{problem} one at a time", hint="name one --target, or a folder with --out")
    if combined and (targets != ("splunk",) or out is None or explain or option):
        problem = "--combined is for the target splunk, with --out, without --explain and --option"
        raise UsageError(problem, hint="such as keytrip compile --combined --out compiled")
    if explain and option:
        raise UsageError("--explain does not know --option", hint="leave one of them out")


def _combined(chosen: Sequence[Any], documents: Sequence[Any], packs: tuple[Path, ...]) -> Sequence[Any]:
    from keytrip.compile.combined import compile_combined

    return compile_combined(chosen, documents, packs)


def _printed(results: Sequence[Any]) -> None:
    write("\n".join(r.text for r in results if r.text))
    for r in results:
        if not r.text:
            note(f"{r.rule} refused: {r.reason}")


def _written(results: Sequence[Any], out: Path, targets: Sequence[str], form: Format, *, quiet: bool) -> None:
    from keytrip.export.files.folder import write_compiled, write_targets

    several = len(targets) > 1
    for line in write_targets(results, out) if several else write_compiled(results, out):
        note(line, quiet=quiet)
    columns = ("rule", "file", "status", "reason")
    rows = [{"target": r.target, **r.as_json()} if several else r.as_json() for r in results]
    show(rows, ("target", *columns) if several else columns, form)


def _explained(
    chosen: Sequence[Any], documents: Sequence[Any], target: str, packs: tuple[Path, ...], form: Format
) -> int:
    from keytrip.compile.explain import explain
    from keytrip.errors import ContentError

    rows: list[dict[str, Any]] = []
    refused = 0
    for document in chosen:
        try:
            parts = explain(target, document, documents, packs)
        except ContentError as error:
            refused += 1
            note(f"{document.name} refused: {error}")
            continue
        rows += [part.as_row() if form is Format.table else part.as_json() for part in parts]
    wide = ("rule", "part", "says", "at", "lines", "query")
    show(rows, ("at", "part", "lines", "query") if form is Format.table else wide, form)
    return int(refused > 0)


_STYLES = {"yes": "green", "partly": "yellow", "no": "bold red"}


def coverage(
    names: RuleNames = None,
    source: Annotated[list[str] | None, typer.Option("--source", "-s", help="This source only; repeatable.")] = None,
    target: Annotated[list[str] | None, typer.Option("--target", "-t", help="This target only; repeatable.")] = None,
    tag: Tags = None,
    pack: opt.Packs = None,
    var: opt.Vars = None,
    form: opt.FormatOption = Format.table,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Show which rules work with which sources on which targets, and the reason for each hole.

    A source covers a rule if its records can carry every field without which the rule cannot fire (partly: only some
    forms of the log have it), a target if the rule compiles for it. The table has a column for each source and target,
    and the holes below it; json and csv have a row for each rule with each source on each target.

    \b
    Examples:
      keytrip coverage
      keytrip coverage 'key_*' --source nginx_egress --format json
    """
    from keytrip.compile.coverage import coverage as covered
    from keytrip.rules.load import load_rules
    from keytrip.sources import source_named

    packs = tuple(pack or ())
    documents = load_rules(packs, opt.variables(var))
    chosen = _chosen(documents, names, tag, loud=True)
    found = covered(chosen, documents, packs, [source_named(name).name for name in source or ()], target or ())
    if form is not Format.table:
        cells = [vars(cell) for coverage in found for cell in coverage.cells]
        show(cells, ("rule", "level", "source", "target", "covered", "reason"), form)
        return 0
    sides = [(coverage, {**coverage.sources, **coverage.targets}) for coverage in found]
    rows = [{"rule": c.rule.name, "level": c.rule.level, **{n: s.covered for n, s in by.items()}} for c, by in sides]
    show(rows, tuple(rows[0]) if rows else (), form, styles=_STYLES)
    holes = ((c.rule.name, name, side) for c, by in sides for name, side in by.items() if side.reason)
    write("".join(f"{rule}, {name}: {harmless(side.reason)}\n" for rule, name, side in holes))
    return 0
