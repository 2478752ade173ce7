"""The measures of the house style that no linter takes: lines of functions and modules, and depth of blocks."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "baselines").glob("*.py")])
LONGEST_FUNCTION, USUAL_FUNCTION, LONGEST_MODULE, DEEPEST_BLOCK = 60, 10, 400, 3
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)


def functions(path: Path) -> Iterator[_Function]:
    """Yield the functions of a module, inner ones too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    yield from (node for node in ast.walk(tree) if isinstance(node, _Function))


def length(function: _Function) -> int:
    """Return a function's lines, decorators among them."""
    first = min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])
    return (function.end_lineno or first) - first + 1


def depth(node: ast.AST) -> int:
    """Return how deep blocks stand in each other below `node`; an `elif` is no deeper than its `if`."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (_Function, ast.Lambda)):
            continue
        chained = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        deepest = max(deepest, depth(child) + (isinstance(child, _BLOCKS) and not chained))
    return deepest


def test_the_measure_of_depth() -> None:
    """What the measure counts: blocks, once each, and a chain of `elif` once."""
    code = "def f():\n if a:\n  pass\n elif b:\n  for c in d:\n   pass\n else:\n  pass\n with e:\n  pass\n"
    assert depth(ast.parse(code).body[0]) == 2


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_and_its_functions_stay_readable(path: Path) -> None:
    """No module, function or nesting grows beyond the bound of the house."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE
    assert {f.name: length(f) for f in functions(path) if length(f) > LONGEST_FUNCTION} == {}
    assert {f.name: depth(f) for f in functions(path) if depth(f) > DEEPEST_BLOCK} == {}


def test_most_functions_are_short() -> None:
    """The usual function is a few lines long."""
    assert median(length(f) for path in MODULES for f in functions(path)) <= USUAL_FUNCTION
