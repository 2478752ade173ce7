"""Spark SQL, run by a real Spark: the judge's alerts for random rules and worlds, and DuckDB's for awkward ones."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv6Address, ip_network
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest
from compile.rules import matching
from compile.test_regex import FLAGS, TEXTS, made
from engines.equality.engines import ship_to_spark
from engines.invented import BASES, INNER, correlations, field_rules, full_world, invented_world, plain_rules
from engines.spark_engine import SparkEngine
from engines.worlds import World, in_order, world_of_files
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from judge import compare
from judge.conditions import matches
from judge.correlated import Correlated
from judge.judge import World as Judged
from judge.judge import every_alert, rules_of, value_of
from judge.records import EPOCH, Event, network_of
from judge.test_correlations import BASES as WORKED_BASES
from judge.test_correlations import WORKED
from judge.worlds import events, timed

from keytrip.compile.compiled import CompiledRule, compile_rule
from keytrip.compile.regex import parse_regex
from keytrip.compile.spark import SPARK
from keytrip.compile.spark_fields import DERIVED, within
from keytrip.compile.spark_sums import double_sum, integer_sum, money_sum, percentile
from keytrip.compile.spark_text import java_regex, quote_name, quote_text
from keytrip.compile.sql_conditions import two_valued
from keytrip.compile.targets import compile_to
from keytrip.compile.values import fold
from keytrip.hunt.alerts import Alert, correlation_alerts, plain_alerts
from keytrip.records.addresses import normal_address
from keytrip.records.vocabulary import vocabulary
from keytrip.rules.load import Document, alerting, load_rules

PARITY = Path(__file__).parents[1] / "parity"
OTHERWISE = {
    "spark.sql.ansi.enabled": "false",
    "spark.sql.parser.escapedStringLiterals": "true",
    "spark.sql.session.timeZone": "Asia/Kathmandu",
}
STRICT = {"spark.sql.ansi.enabled": "true", "spark.sql.ansi.enforceReservedKeywords": "true"}
COMPILED = {
    "spark.sql.codegen.wholeStage": "true",
    "spark.sql.codegen.factoryMode": "FALLBACK",
    "spark.sql.adaptive.enabled": "true",
}


def random(examples: int) -> Any:
    """Return hypothesis' settings for a test in an engine."""
    return settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)


# -- held to the judge -----------------------------------------------------------------------------------------------


def alerts(spark: SparkEngine, rule: CompiledRule, text: str) -> list[dict[str, Any]]:
    """Return a rule's alerts as JSON has them."""
    rows = spark.rows(text)
    columns = list(rows[0]) if rows else []
    shaped = plain_alerts if rule.plain else correlation_alerts
    found: list[Alert] = shaped(rule, columns, [list(row.values()) for row in rows], None)
    return [alert.as_json() for alert in found]


def correlated_alerts(spark: SparkEngine, case: Correlated) -> list[dict[str, Any]] | str:
    """Return the alerts of the last rule, or why it is refused."""
    documents = [Document(d, Path("made.yml"), 1) for d in case.documents]
    rule = compile_rule(documents[-1], documents)
    (compiled,) = compile_to("spark", documents[-1:], documents)
    assert bool(compiled.text) is not bool(rule.refused), "DuckDB and Spark say the same rules"
    if rule.refused:
        return rule.refused
    for category, records in case.records.items():
        named = vocabulary().by_category(category)
        assert named is not None
        spark.load(named[0], [timed(record) for record in records])
    return alerts(spark, rule, compiled.text)


def judged(case: Correlated) -> list[dict[str, Any]]:
    """Return the judge's alerts of the last rule."""
    read = {category: events(records) for category, records in case.records.items()}
    (rule,) = [rule for rule in rules_of(case.documents) if rule.name == case.documents[-1]["name"]]
    return list(every_alert(rule, Judged(read["ai_usage"], {}, {}, others=read)))


@pytest.mark.parametrize("case", WORKED)
def test_worked_out(spark: SparkEngine, case: str) -> None:
    """What follows from the semantics by hand is found."""
    rules, rows, windows = WORKED[case]
    made = Correlated((*WORKED_BASES, *rules), {"ai_usage": rows, "ai_audit": []})
    found = correlated_alerts(spark, made)
    assert not isinstance(found, str), found
    said = [tuple(alert[m].split("T")[1][:-1] for m in ("window_start", "window_end")) for alert in found]
    assert sorted((*times, alert["events"]) for times, alert in zip(said, found, strict=True)) == sorted(windows)
    assert compare.alert_differences(found, judged(made)) == []


# -- held to DuckDB, which is held to the judge ----------------------------------------------------------------------


def differences(
    world: World, spark: SparkEngine, rules: Sequence[Document], documents: Sequence[Document]
) -> tuple[dict[str, str], int]:
    """Return rule -> how Spark's answer differs from DuckDB's, and how many alerts DuckDB gave."""
    ours, theirs = ([c.text for c in compile_to(target, rules, documents)] for target in ("duckdb", "spark"))
    assert all(theirs)
    wrong: dict[str, str] = {}
    count = 0
    plain = spark.events((r.name, text) for r, text in zip(rules, theirs, strict=True) if "correlation" not in r.data)
    for rule, text, other in zip(rules, ours, theirs, strict=True):
        rows, answer = world.rows(text), plain.get(rule.name)
        if answer is None:
            answer = spark.rows(other)
        else:
            rows = [{name: row[name] for name in ("request_id", "rule", "level")} for row in rows]
        expected, said = in_order(rows), in_order(answer)
        count += len(expected)
        if expected != said:
            missing, extra = [r for r in expected if r not in said], [r for r in said if r not in expected]
            wrong[f"{rule.name} {rule.data.get('detection', '')}"] = f"missing {missing[:1]}, too many {extra[:1]}"
    return wrong, count


# A batch for each setting: rules of every kind, but not the same ones.
SETTINGS = {"otherwise": (OTHERWISE, 0), "strict and compiled": ({**STRICT, **COMPILED}, 7)}


@pytest.mark.parametrize("which", SETTINGS)
def test_settings(spark: SparkEngine, which: str) -> None:
    """Conditions, correlations and baseline blocks give the same alerts whatever the session's settings."""
    changed, first = SETTINGS[which]
    world, plain, counting = invented_world(3, 300), list(plain_rules()), list(correlations())
    rules = [*plain[first::19], *counting[first % 12 :: 12]]
    ship_to_spark(world, spark)
    with spark.settings(changed):
        found, count = differences(world, spark, rules, [*BASES, INNER, *rules])
    assert not found
    assert count > 1000


def test_every_field(spark: SparkEngine) -> None:
    """Every field of every table can be tested and grouped by, derived ones included."""
    world, rules = full_world(), list(field_rules())
    ship_to_spark(world, spark)
    counting = [rule for rule in rules if "correlation" in rule.data]
    columns = {rule.name: f"cast(`{rule.data['correlation']['group-by'][0]}` as string) as found" for rule in counting}
    made = [compile_to(target, counting, rules) for target in ("duckdb", "spark")]
    said = spark.together((c.rule, f"events, {columns[c.rule]}, rule", c.text) for c in made[1])
    for compiled in made[0]:
        asked = f"select events, {columns[compiled.rule].replace('`', chr(34))}, rule from ({compiled.text})"
        assert in_order(said[compiled.rule]) == in_order(world.rows(asked)), compiled.text
        assert len(said[compiled.rule]) == 3


def test_parity(spark: SparkEngine, tmp_path: Path) -> None:
    """Every shipped rule gives the same alerts on the parity records."""
    world = world_of_files([PARITY / "history.ndjson.gz"], [PARITY / "recent.ndjson.gz"], tmp_path)
    documents = load_rules()
    ship_to_spark(world, spark)
    found, count = differences(world, spark, alerting(documents), documents)
    assert not found
    assert count >= 100


@pytest.mark.parametrize("zoned", ["false", "true"])
def test_parquet(spark: SparkEngine, tmp_path: Path, zoned: str) -> None:
    """A Parquet file that says nothing of a zone holds UTC, whichever of its two types Spark gives the times."""
    world, rules = invented_world(5, 200), list(correlations())[:3]
    ship_to_spark(world, spark)
    file = tmp_path / "usage.parquet"
    world.con.execute(f"copy (select * from usage) to '{file}' (format parquet)")
    with spark.settings({"spark.sql.parquet.inferTimestampNTZ.enabled": zoned}):
        spark.session.read.parquet(str(file)).createOrReplaceTempView("usage")
        found, count = differences(world, spark, rules, [*BASES, INNER, *rules])
    assert not found
    assert count > 100


# -- pieces ----------------------------------------------------------------------------------------------------------

LARGEST = 1.7976931348623157e308


def test_sums(spark: SparkEngine) -> None:
    """Sums do not overflow, and what no decimal holds is summed all the same, with compensation."""
    cases = [[1e24, 0.5], [1e308] * 3, [1e308, 5.0, -1e308], [None, None], [None, 2.5], [0.3, 0.1, 0.2]]
    rows = ", ".join(
        f"({number}, cast({'null' if value is None else f'{value!r}D'} as double))"
        for number, values in enumerate(cases)
        for value in values
    )
    sums = (money_sum("x"), double_sum("x", mean=False), double_sum("x", mean=True))
    listed = ", ".join(f"{text} as s{number}" for number, text in enumerate(sums))
    found = spark.rows(f"select n, {listed} from values {rows} as t(n, x) group by n order by n")
    expected = [
        (1e24, 1e24, 5e23),
        (LARGEST, LARGEST, 1e308),
        (5.0, 5.0, 5 / 3),
        (None, None, None),
        (2.5, 2.5, 2.5),
        (0.6, 0.6, 0.2),
    ]
    assert [(row["s0"], row["s1"], row["s2"]) for row in found] == expected
    most = 2**63 - 1
    whole = f"select {integer_sum('x', mean=False)} as total, {integer_sum('x', mean=True)} as mean"
    assert spark.rows(f"{whole} from values {f'({most}), ' * 3}(null) as t(x)") == [
        {"total": 3 * most, "mean": float(most)}
    ]


NUMBERS = st.sampled_from([0, 1, 2, 29, 0.1, 0.2, 0.3, 33.333333, 1e-9, -1.7, 2**53, 3e15, None])


@random(5)
@given(st.lists(st.lists(NUMBERS, min_size=1, max_size=12), min_size=5, max_size=20))
def test_percentiles(spark: SparkEngine, drawn: list[list[float | None]]) -> None:
    """A percentile is the double next to the exact one, in every window and at every rank."""
    groups = [list(range(101)), *drawn]
    rows = ", ".join(
        f"({number}, {'null' if value is None else f'{float(value)!r}D'})"
        for number, values in enumerate(groups)
        for value in values
    )
    percents = (1, 7, 29, 50, 90, 99, 100)
    listed = ", ".join(f"{percentile('x', percent)} as p{percent}" for percent in percents)
    found = spark.rows(f"select {listed} from values {rows} as t(n, x) group by n order by n")
    for values, row in zip(groups, found, strict=True):
        seen = [Event({"x": value}, None, None) for value in values]
        for percent in percents:
            exact = value_of("value_percentile", {"field": "x", "percentile": percent}, seen)
            big = exact is not None and max(abs(value) for value in values if value is not None) >= 1e10
            assert row[f"p{percent}"] == (pytest.approx(exact, rel=1e-12) if big else exact)


@pytest.mark.parametrize("changed", [{}, OTHERWISE, STRICT], ids=["as it is", "otherwise", "strict"])
@random(5)
@given(values=st.lists(st.text(st.characters(codec="utf-8") | st.sampled_from("'\\\"`${};-/*\n\0")), max_size=60))
def test_literals(spark: SparkEngine, changed: dict[str, str], values: list[str]) -> None:
    """Whatever text a rule holds, its literal means just it, and so does a name."""
    values = ["", "${spark.app.name}", "it's", "a\\", "\\'", "''", *values]
    listed = ", ".join(f"{quote_text(value)} as {quote_name(f'`{n}')}" for n, value in enumerate(values))
    with spark.settings(changed):
        answer = spark.session.sql(f"select {listed}")
    assert answer.columns == [f"`{n}" for n in range(len(values))]
    assert list(answer.collect()[0]) == values


def test_regular_expressions(spark: SparkEngine) -> None:
    """Random expressions match in Java what they match in RE2."""
    random = Random(7)  # noqa: S311 - test data
    drawn = [(made(random), random.choice(FLAGS)) for _ in range(250)]
    texts = ", ".join(map(quote_text, TEXTS))
    said = (f"t rlike {quote_text(java_regex(parse_regex(text, flags)))}" for text, flags in drawn)
    (found,) = spark.rows(
        f"select {', '.join(f'transform(array({texts}), t -> {one}) as r{n}' for n, one in enumerate(said))}"
    )
    with duckdb.connect() as con:
        for (text, flags), answer in zip(drawn, found.values(), strict=True):
            pattern = f"(?{flags}){text}" if flags else text
            query = "select list_transform(?::varchar[], lambda t: regexp_matches(t, ?))"
            (expected,) = con.execute(query, [list(TEXTS), pattern]).fetchone() or ()
            assert dict(zip(TEXTS, answer, strict=True)) == dict(zip(TEXTS, expected, strict=True)), (text, flags)


ADDRESSES = (
    st.ip_addresses().map(str)
    | st.integers(0, 2**16 - 1).map(lambda n: str(IPv6Address(n << 80 | n)))
    | st.lists(st.sampled_from(["", "0", "1", "abcd", "12345", "::", ":", ".", "256", "\n"]), max_size=9).map(":".join)
    | st.lists(st.sampled_from(["0", "1", "255", "256", "01", "", "\n"]), max_size=5).map(".".join)
)
NETWORKS = ("0.0.0.0/0", "10.0.0.0/9", "0.0.0.0/20", "::/0", "2001:db8::/32", "8000::/1", "::/117", "0:0:0:2::/63")


@random(8)
@given(st.lists(ADDRESSES, min_size=40, max_size=80))
def test_addresses(spark: SparkEngine, drawn: list[str]) -> None:
    """Networks hold the addresses that they should, `source_net` is the address' own, and other texts have neither."""
    addresses = [normal_address(text) for text in drawn]
    rows = ", ".join(f"({number}, {quote_text(text)})" for number, text in enumerate(addresses))
    tests = [two_valued(within("`source_ip`", ip_network(text))) for text in NETWORKS]
    listed = ", ".join([DERIVED["source_net"], f"array({', '.join(tests)})"])
    found = spark.session.sql(f"select {listed} from values {rows} as t(n, `source_ip`) order by n").collect()
    for text, (net, held) in zip(addresses, found, strict=True):
        assert net == network_of(text), text
        expected = [
            matches({"a": {"i|cidr": name}, "condition": "a"}, Event({"i": text}, None, None)) for name in NETWORKS
        ]
        assert held == expected, text


def test_lower_case(spark: SparkEngine) -> None:
    """Every letter of the first planes with a lower case of one letter has it in Spark, a sigma in every place."""
    codes = (code for code in range(0x80, 0x1E950) if not 0xD800 <= code < 0xE000)
    letters = [chr(c) for c in codes if len(chr(c).lower()) == 1 and chr(c).lower() != chr(c)]
    text = " ".join(letters)
    lowered = spark.session.sql(f"select {SPARK.fold(quote_text(text), None)}").collect()[0][0]
    assert {c for c, low in zip(letters, lowered.split(" "), strict=True) if low != fold(c)} <= set("\u1e9e\u212a")
    event = {"timestamp": EPOCH, "model": "\u039f\u0394\u039f\u03a3"}
    spark.load("usage", [event])
    for test in ({"model": "\u03bf\u03b4\u03bf\u03c3"}, {"model|endswith": "\u03a3"}, {"model|fieldref": "model"}):
        (found,) = compile_to("spark", [rule := matching(test)], [rule])
        assert len(spark.rows(found.text)) == 1
