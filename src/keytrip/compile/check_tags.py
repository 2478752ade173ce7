"""Checks of what a rule says about itself: tags of frameworks, and licences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from keytrip.compile.problems import Problem, Subject, nearest
from keytrip.rules.frameworks import NAMESPACES, Framework, framework

if TYPE_CHECKING:
    from keytrip.compile.check_rule import Rule

_FORMS = {
    "attack": re.compile(r"t\d{4}(\.\d{3})?|[gs]\d{4}|[a-z]+(-[a-z]+)*"),
    "atlas": re.compile(r"aml-t\d{4}(\.\d{3})?|[a-z]+(-[a-z]+)*"),
}
HINTS = {
    "attack": "such as attack.t1078.004 or attack.initial-access",
    "atlas": "such as atlas.aml-t0012 or atlas.aml-t0048.000",
}


def tags(rule: Rule) -> Iterator[Problem]:
    """ATT&CK and ATLAS tags name what their frameworks have."""
    for number, tag in enumerate(rule.subject.document.tags):
        namespace, _, name = tag.partition(".")
        if namespace in NAMESPACES:
            yield from _tag(rule.subject, number, namespace, name)


def _tag(subject: Subject, number: int, namespace: str, name: str) -> Iterator[Problem]:
    known = framework(namespace)
    if not _FORMS[namespace].fullmatch(name):
        message = f"tag '{namespace}.{name}' has not the form of an id"
        yield subject.problem(message, "tags", number, hint=HINTS[namespace])
    elif name in known.retired:
        message = f"tag '{namespace}.{name}' names what {known} has withdrawn"
        yield subject.problem(message, "tags", number, hint="look up what took its place")
    elif name not in known.ids:
        message = f"tag '{namespace}.{name}' is not in {known}"
        yield subject.problem(message, "tags", number, hint=_meant(namespace, name, known))


def _meant(namespace: str, name: str, known: Framework) -> str:
    hint = nearest(name, sorted(known.ids))
    return HINTS[namespace] if hint.startswith("one of") else hint.replace("mean ", f"mean {namespace}.")


def licence(rule: Rule) -> Iterator[Problem]:
    """A licence is an SPDX expression, and a rule made from another's says which holds."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    given = rule.data.get("license")
    derived = any(str(entry.get("type")) == "derived" for entry in rule.data.get("related") or ())
    if derived and given is None:
        message = "is derived from another rule and names no licence"
        yield rule.subject.problem(message, "related", hint="license: the SPDX id of that rule's licence")
    if given is None:
        return
    try:
        canonicalize_license_expression(str(given))
    except InvalidLicenseExpression:
        hint = "such as Apache-2.0, MIT or DRL-1.1"
        yield rule.subject.problem(f"license {given!r} is no SPDX expression", "license", hint=hint)
