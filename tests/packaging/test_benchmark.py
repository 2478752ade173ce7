"""The benchmark's own parts: what it measures, and how it compares answers."""

from __future__ import annotations

import importlib.util
import json
import pickle
import resource
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="os.wait4 tells a child's memory, and Windows lacks it")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("keytrip_benchmark", ROOT / "benchmarks/run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_a_process_is_measured_whole(bench: ModuleType, tmp_path: Path) -> None:
    """A child that takes 64 MiB shows them, and its output is kept."""
    work = bench.Work("taking memory", [sys.executable, "-c", "x = b'a' * 2**26; print(len(x))"])
    figure = bench.Bench(tmp_path, tmp_path, tmp_path, 2).measure([work])[work.name]
    assert len(figure.seconds) == 2
    # a child begins with its parent's peak: a parent larger than the child, as this process is, hides it
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert 64 < figure.memory < max(400, own + 64)
    assert bench.Bench(tmp_path, tmp_path, tmp_path, 1).output(work).read_text(encoding="utf-8") == f"{2**26}\n"


def test_a_program_that_fails_stops_the_run(bench: ModuleType, tmp_path: Path) -> None:
    """A peer that ends badly is named, with what it said."""
    work = bench.Work("failing", [sys.executable, "-c", "import sys; sys.exit('no such data')"])
    with pytest.raises(SystemExit, match="failing failed: no such data"):
        bench.Bench(tmp_path, tmp_path, tmp_path, 1).measure([work])


def answers(bench: ModuleType, folder: Path, addresses: list[str]) -> object:
    """Return the row that compares a reference detector of two alerts with ours over `addresses`."""
    alerts = [
        {"alert_type": "volume_spike", "severity": "critical", "evidence": {}, "api_key_prefix": "k"},
        {
            "alert_type": "unknown_source_ip",
            "severity": "high",
            "evidence": {"unknown_ips": ["192.0.2.1", "192.0.2.2"]},
            "api_key_prefix": "k",
        },
    ]
    (folder / "answers.pickle").write_bytes(pickle.dumps(({}, alerts)))
    rules = ["reference_volume_spike", "reference_volume_spike_extreme"]
    own = [{"rule": rule, "key_id": "k", "group": {"key_id": "k"}} for rule in rules]
    own += [
        {"rule": "reference_unknown_source_ip", "key_id": "k", "group": {"key_id": "k", "source_ip": address}}
        for address in addresses
    ]
    (folder / "own.out").write_text("".join(f"{json.dumps(alert)}\n" for alert in own), encoding="utf-8")
    return bench.compare(bench.reference_answers(folder / "answers.pickle"), bench.own_answers(folder / "own.out"))


def test_equal_answers_are_equal(bench: ModuleType, tmp_path: Path) -> None:
    """The same keys and addresses count as the same answers, a critical spike as both rules."""
    row = answers(bench, tmp_path, ["192.0.2.2", "192.0.2.1"])
    assert "| 4 answers of 3 checks |" in str(row)
    assert str(row).endswith("| yes |")


def test_one_address_less_is_another_answer(bench: ModuleType, tmp_path: Path) -> None:
    """A missing address is told with the check that lacks it."""
    row = answers(bench, tmp_path, ["192.0.2.1"])
    assert "differ in reference_unknown_source_ip" in str(row)
    assert str(row).endswith("| **no** |")


def test_the_table_has_its_place_in_the_document(bench: ModuleType) -> None:
    """`--write` replaces what is between two marks, and the document has both."""
    text = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    assert 0 < text.index(bench.BEGIN) < text.index(bench.END)
