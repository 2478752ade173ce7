"""The fields of the canonical Elastic layout that a query names: what Kibana shows as a rule's required fields."""

from __future__ import annotations

import re

from keytrip.compile.elastic import layout
from keytrip.records.vocabulary import vocabulary

# What is no code: texts and comments of ES|QL, EQL and Lucene.
_NO_CODE = re.compile(r'"""[\s\S]*?"""|"(?:\\.|[^"\\])*"|//.*')
_NAME = re.compile(r"@?\w+(?:\.\w+)*")
_TYPES = {"timestamp": "date", "string": "keyword", "json": "keyword", "int": "long", "double": "double"}
_ADDRESS = "source.ip"


def required_fields(query: str, table: str) -> list[dict[str, str]]:
    """Return the name and Elasticsearch's type of each field that a query over a canonical table names, by name.

    Args:
        query: ES|QL, EQL or Lucene with the layout's own names.
        table: The canonical table.
    """
    there = set(_NAME.findall(_NO_CODE.sub('""', query).replace("`", "")))
    columns = vocabulary().tables[table].columns
    known = {field: _TYPES[columns[name].type] for name, field in layout().items() if name in columns}
    types = {**known, _ADDRESS: "ip"}
    return [{"name": name, "type": types[name]} for name in sorted(there & types.keys())]
