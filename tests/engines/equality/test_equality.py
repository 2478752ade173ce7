"""One rule, one meaning: random rules over random records give, in every engine, the alerts that the judge gives."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import pytest
from engines.equality.batch import Batch, batch
from engines.equality.engines import ENGINES, Answer, Engine, Pair, kind_of
from judge import compare

from keytrip.compile.targets import compile_to

# More in a long run: KEYTRIP_EQUALITY=20 pytest tests/equality asks twenty such batches, and all of each engine.
BATCHES = int(os.environ.get("KEYTRIP_EQUALITY", "0"))


def pairs_of(engine: Engine, asked: Batch) -> list[Pair]:
    """Return the rules that a target says, with their text; what it refuses, it refuses for a reason that is known."""
    rules = asked.rules if BATCHES else asked.rules[:: engine.every]
    made = compile_to(engine.target, rules, asked.documents)
    reasons = [compiled.reason for compiled in made if not compiled.text]
    assert [reason for reason in reasons if not re.search(engine.refuses, reason)] == []
    return [(rule, compiled) for rule, compiled in zip(rules, made, strict=True) if compiled.text]


def difference(engine: Engine, asked: Batch, answer: Answer) -> Sequence[object]:
    """Return how an answer differs from the judge's."""
    if answer.error:
        return [answer.error]
    if kind_of(answer.rule) == "plain":
        expected = asked.ids(answer.rule)
        return sorted(set(answer.found) ^ set(expected)) or answer.found != expected
    judged = asked.verdict(answer.rule, answer.between, milliseconds=engine.milliseconds)
    return compare.row_differences(answer.found, judged)


@pytest.mark.parametrize("seed", range(1, max(1, BATCHES) + 1))
@pytest.mark.parametrize(("engine", "server"), [(e, e.server) for e in ENGINES], ids=[e.name for e in ENGINES])
def test_same_alerts(engine: Engine, server: str, seed: int, request: pytest.FixtureRequest) -> None:
    """Every rule that a target says gives the judge's alerts, and most rules give some."""
    asked = batch(seed)
    pairs = pairs_of(engine, asked)
    running = request.getfixturevalue(server) if server else None
    wrong: dict[str, object] = {}
    alerts = 0
    for answer in engine.ask(asked, pairs, running):
        alerts += bool(answer.found)
        apart = difference(engine, asked, answer)
        if apart:
            said = {k: answer.rule.data.get(k) for k in ("detection", "correlation", "baseline")}
            wrong[answer.rule.name] = (said, answer.between, list(apart)[:2])
    assert wrong == {}
    assert alerts > len(pairs) / 2
    assert BATCHES or len(pairs) >= engine.said
