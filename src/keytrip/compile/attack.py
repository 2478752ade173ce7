"""Names of ATT&CK for what Elastic's rules want of it: tactics, and the techniques of keytrip's subject.

Source: MITRE ATT&CK for Enterprise, the pages that the references in each entry lead to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_SITE = "https://attack.mitre.org"
_TACTICS = {
    "reconnaissance": "TA0043",
    "resource-development": "TA0042",
    "initial-access": "TA0001",
    "execution": "TA0002",
    "persistence": "TA0003",
    "privilege-escalation": "TA0004",
    "defense-evasion": "TA0005",
    "credential-access": "TA0006",
    "discovery": "TA0007",
    "lateral-movement": "TA0008",
    "collection": "TA0009",
    "command-and-control": "TA0011",
    "exfiltration": "TA0010",
    "impact": "TA0040",
}
# Technique -> its name, and the tactic that it stands under where a rule names none.
_TECHNIQUES = {
    "T1078": ("Valid Accounts", "initial-access"),
    "T1078.004": ("Cloud Accounts", "initial-access"),
    "T1098": ("Account Manipulation", "persistence"),
    "T1098.001": ("Additional Cloud Credentials", "persistence"),
    "T1496": ("Resource Hijacking", "impact"),
    "T1496.004": ("Cloud Service Hijacking", "impact"),
    "T1526": ("Cloud Service Discovery", "discovery"),
    "T1528": ("Steal Application Access Token", "credential-access"),
    "T1550": ("Use Alternate Authentication Material", "lateral-movement"),
    "T1550.001": ("Application Access Token", "lateral-movement"),
    "T1552": ("Unsecured Credentials", "credential-access"),
    "T1552.001": ("Credentials In Files", "credential-access"),
    "T1552.005": ("Cloud Instance Metadata API", "credential-access"),
    "T1562": ("Impair Defenses", "defense-evasion"),
    "T1562.008": ("Disable or Modify Cloud Logs", "defense-evasion"),
    "T1567": ("Exfiltration Over Web Service", "exfiltration"),
    "T1580": ("Cloud Infrastructure Discovery", "discovery"),
    "T1619": ("Cloud Storage Object Discovery", "discovery"),
    "T1110": ("Brute Force", "credential-access"),
    "T1090": ("Proxy", "command-and-control"),
}
_TECHNIQUE = re.compile(r"(t\d{4})(\.\d{3})?")


def threats_of(tags: Iterable[str]) -> list[dict[str, Any]]:
    """Return `threat` of a Kibana rule: each tactic of the tags, the first of them with the techniques.

    Sigma's tags do not say which technique serves which tactic. A technique without a name here keeps its id as name.
    """
    names = [tag.removeprefix("attack.") for tag in tags if tag.startswith("attack.")]
    tactics = [name.replace("_", "-") for name in names if name.replace("_", "-") in _TACTICS]
    techniques = [name.upper() for name in names if _TECHNIQUE.fullmatch(name)]
    implied = [_TECHNIQUES[name][1] for name in techniques if name in _TECHNIQUES]
    found = [_threat(tactic) for tactic in tactics or implied[:1]]
    if found:
        found[0]["technique"] = _techniques(techniques)
    return found


def _threat(tactic: str) -> dict[str, Any]:
    identifier = _TACTICS[tactic]
    name = tactic.replace("-", " ").title().replace(" And ", " and ")
    entry = {"id": identifier, "name": name, "reference": f"{_SITE}/tactics/{identifier}/"}
    return {"framework": "MITRE ATT&CK", "tactic": entry, "technique": []}


def _techniques(names: list[str]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for whole in names:
        first = whole.partition(".")[0]
        entry = found.setdefault(first, {**_named(first), "subtechnique": []})
        if whole != first:
            entry["subtechnique"].append(_named(whole))
    return list(found.values())


def _named(identifier: str) -> dict[str, Any]:
    reference = f"{_SITE}/techniques/{identifier.replace('.', '/')}/"
    return {"id": identifier, "name": _TECHNIQUES.get(identifier, (identifier,))[0], "reference": reference}
