"""Rules of other logsources, as a user may have them: every modifier, every kind of condition, correlations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import yaml

WINDOWS = {"product": "windows", "category": "process_creation"}
DETECTIONS: dict[str, dict[str, Any]] = {
    "plain": {"a": {"Image": "C:\\Temp\\x.exe", "User": None}, "condition": "a"},
    "list": {"a": {"Image|endswith": ["\\net.exe", "\\net1.exe"]}, "condition": "a"},
    "all": {"a": {"CommandLine|contains|all": ["user", "/add"]}, "condition": "a"},
    "starts": {"a": {"Image|startswith": "C:\\Users\\"}, "condition": "a"},
    "wildcards": {"a": {"CommandLine": ["a*b?c", "\\*literal\\?", '"quoted"']}, "condition": "a"},
    "windash": {"a": {"CommandLine|windash|contains": [" -enc ", " /f"]}, "condition": "a"},
    "base64": {"a": {"CommandLine|base64offset|contains": "IEX", "ParentImage|wide|base64": "x y"}, "condition": "a"},
    "cidr": {"a": {"DestinationIp|cidr": ["10.0.0.0/8", "192.168.0.0/16"]}, "condition": "not a"},
    "cidr6": {"a": {"DestinationIp|cidr": "2001:db8::/32"}, "condition": "a"},
    "re": {"a": {"CommandLine|re": "net\\s+user(\\s|$)"}, "condition": "a"},
    "re_flags": {"a": {"CommandLine|re|i": "who(am)?i"}, "condition": "a"},
    "numbers": {"a": {"LogonType": 3, "Port|gte": 1024, "Port|lt": 65535}, "condition": "a"},
    "fieldref": {"a": {"User|fieldref": "TargetUser"}, "condition": "a"},
    "exists": {"a": {"User|exists": True, "Hash|exists": False}, "condition": "a"},
    "cased": {"a": {"CommandLine|contains|cased": "MiXed"}, "condition": "a"},
    "neq": {"a": {"Image|neq": "a.exe"}, "condition": "a"},
    "keywords": {"words": ["mimikatz", "sekurlsa*"], "condition": "words"},
    "keywords_all": {"words": {"|all": ["one", "two"]}, "condition": "words"},
    "one_of": {"s1": {"Image": "a"}, "s2": {"Image": "b"}, "condition": "1 of s*"},
    "all_of": {
        "s1": {"Image": "a"},
        "s2": {"User": "b"},
        "f1": {"User": "c"},
        "condition": "all of s* and not 1 of f*",
    },
    "them": {"s1": {"Image": "a"}, "s2": {"User": "b"}, "condition": "all of them"},
    "maps": {"a": [{"Image": "a"}, {"User": "b", "Image": "c"}], "condition": "a"},
    "two": {"a": {"Image": "a"}, "b": {"User": "b"}, "condition": ["a", "b"]},
    "nested": {"a": {"Image": "a"}, "b": {"User": "b"}, "c": {"Port": 1}, "condition": "not (a and (b or not c))"},
    "empty": {"a": {"User": "", "Image": ["", None]}, "condition": "a"},
    "unicode": {"a": {"CommandLine|contains": ["größe", "日本語", "line\nbreak"]}, "condition": "a"},
    "bool": {"a": {"Signed": False}, "condition": "a"},
    "placeholder": {"a": {"User|expand": "%admins%"}, "condition": "a"},
}
CORRELATIONS: dict[str, dict[str, Any]] = {
    "event_count": {"condition": {"gte": 10}},
    "value_count": {"condition": {"gte": 3, "field": "User"}},
    "temporal": {"rules": ["first", "second"]},
    "temporal_ordered": {"rules": ["first", "second"]},
    "temporal_extended": {"type": "temporal", "rules": None, "condition": "first and not second"},
    "aliased": {
        "type": "temporal",
        "rules": ["first", "second"],
        "group-by": ["who"],
        "aliases": {"who": {"first": "User", "second": "TargetUser"}},
    },
    "value_sum": {"condition": {"gt": 3, "field": "Bytes"}},
    "value_avg": {"condition": {"gt": 3, "field": "Bytes"}},
    "value_median": {"condition": {"gt": 3, "field": "Bytes"}},
    "value_percentile": {"condition": {"gt": 3, "field": "Bytes", "percentile": 90}},
}


def plain(name: str, detection: dict[str, Any], **logsource: str) -> dict[str, Any]:
    """Return a plain rule."""
    return {
        "title": f"Foreign {name}",
        "name": name,
        "id": str(uuid5(NAMESPACE_URL, f"foreign {name}")),
        "status": "test",
        "description": "A user's own rule",
        "author": "tests",
        "date": "2026-01-01",
        "level": "high",
        "tags": ["attack.execution", "attack.t1059.001"],
        "falsepositives": ["none"],
        "logsource": logsource or WINDOWS,
        "detection": detection,
    }


def foreign_rules() -> Iterator[tuple[str, str]]:
    """Yield name and YAML of each."""
    for name, detection in DETECTIONS.items():
        yield name, yaml.safe_dump(plain(name, detection))
    yield "linux", yaml.safe_dump(plain("linux", DETECTIONS["all"], product="linux", service="auditd"))
    yield "web", yaml.safe_dump(plain("web", {"a": {"c-uri|contains": "../"}, "condition": "a"}, category="webserver"))
    bases = [plain("first", DETECTIONS["plain"]), plain("second", DETECTIONS["list"])]
    for name, changes in CORRELATIONS.items():
        common = {"type": name, "rules": ["first"], "group-by": ["User"], "timespan": "5m"}
        correlation = {member: value for member, value in {**common, **changes}.items() if value is not None}
        rule = {**plain(name, {}), "correlation": correlation}
        del rule["detection"], rule["logsource"]
        yield name, yaml.safe_dump_all([*bases, rule])
        alone = {**rule, "correlation": {**rule["correlation"], "generate": True}}
        yield f"{name}_generate", yaml.safe_dump_all([*bases, alone])
