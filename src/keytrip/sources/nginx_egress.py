"""nginx as egress proxy: the JSON log of docs/examples/nginx_egress.conf, or the combined format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keytrip.records.sql import quote_text
from keytrip.sources.base import Source, bare_address


def _recognise(record: Mapping[str, Any]) -> bool:
    return {"remote_addr", "uri", "status"} <= record.keys()


# Host -> provider (regular expressions, first match wins). The combined format has no host: there the path tells.
_HOSTS = (
    (r"(^|\.)openai\.azure\.com$|\.services\.ai\.azure\.com$|\.cognitiveservices\.azure\.com$", "azure_openai"),
    (r"(^|\.)openai\.com$", "openai"),
    (r"(^|\.)anthropic\.com$", "anthropic"),
    (r"aiplatform\.googleapis\.com$|^generativelanguage\.googleapis\.com$", "google"),
    (r"^bedrock(-runtime|-mantle)?[.-].*(amazonaws\.com|\.api\.aws)$", "aws_bedrock"),
    (r"(^|\.)openrouter\.ai$", "openrouter"),
)
_PATHS = (
    (r"^/openai/deployments/", "azure_openai"),
    (r"^/v1/messages", "anthropic"),
    (r"^/v1(beta)?/(models/[^/]+:|projects/)", "google"),
    (r"^/model/[^/]+/(invoke|converse)", "aws_bedrock"),
    (r"^/v1/(chat/|responses|embeddings|models|files|fine_tuning|images|audio|batches|assistants|threads)", "openai"),
)
_OPERATIONS = (
    (r"/(chat/completions|messages|responses|converse(-stream)?|invoke[^/]*)$|:(stream)?generatecontent$", "chat"),
    (r"/embeddings$|:embedcontent$", "embeddings"),
    (r"/completions$", "text_completion"),
    (r"/files(/|$)", "files"),
    (r"/fine_tuning/", "fine_tuning"),
    (r"/batches(/|$)", "batch"),
    (r"/images/", "images"),
    (r"/audio/", "audio"),
    (r"/realtime", "realtime"),
    (r"/models(/[^/:]*)?$", "models"),
)
_PATH = "split_part(\"uri\", '?', 1)"


def _cases(value: str, rules: tuple[tuple[str, str], ...]) -> str:
    return " ".join(f"when regexp_matches({value}, {quote_text(p)}) then {quote_text(name)}" for p, name in rules)


def _known(member: str) -> str:
    return f"nullif(nullif(\"{member}\", '-'), '')"


_TIME = (
    "coalesce(\"time\", strftime(try_strptime(\"time_local\", '%d/%b/%Y:%H:%M:%S %z') at time zone 'UTC', "
    "'%Y-%m-%dT%H:%M:%SZ'))"
)

SOURCE = Source(
    name="nginx_egress",
    about="nginx egress proxy: JSON log (docs/examples/nginx_egress.conf) or the combined format",
    recognise=_recognise,
    members={
        "time": "VARCHAR",
        "time_local": "VARCHAR",
        "remote_addr": "VARCHAR",
        "host": "VARCHAR",
        "uri": "VARCHAR",
        "status": "BIGINT",
        "user_agent": "VARCHAR",
        "key_hint": "VARCHAR",
        "x_api_key_hint": "VARCHAR",
        "openai_organization": "VARCHAR",
        "openai_project": "VARCHAR",
        "x_request_id": "VARCHAR",
    },
    fields={
        "timestamp": _TIME,
        "provider": f"case {_cases('lower(host)', _HOSTS)} {_cases(_PATH, _PATHS)} end",
        "key_id": f"coalesce({_known('key_hint')}, {_known('x_api_key_hint')})",
        "project": f"coalesce({_known('openai_project')}, {_known('openai_organization')})",
        "endpoint": f"nullif({_PATH}, '')",
        "operation": f"case {_cases(f'lower({_PATH})', _OPERATIONS)} end",
        "source_ip": bare_address(_known("remote_addr")),
        # the combined format writes a quote and a backslash by their codes
        "user_agent": f"replace(replace({_known('user_agent')}, '\\x22', chr(34)), '\\x5C', chr(92))",
        "status_code": '"status"',
        "request_id": _known("x_request_id"),
    },
    lacks={
        "key_id": "the combined format has no key; the JSON log has the hint that its map makes",
        "model": "the request's body is not logged",
        "input_tokens": "the answer's body is not logged",
        "output_tokens": "the answer's body is not logged",
        "cost_usd": "without tokens there is no price",
        "user": "not in the request",
    },
    # a request that is none (a TLS hello on a plain port, nothing at all) has no path
    line=(
        r'(?P<remote_addr>\S+) \S+ \S+ \[(?P<time_local>[^\]]{1,40})\] "(?:\S+ (?P<uri>[^\s"]+)(?: [^"]*)?|[^"]*)" '
        r'(?P<status>\d{3}) \S+ "[^"\\]*(?:\\.[^"\\]*)*" "(?P<user_agent>[^"\\]*(?:\\.[^"\\]*)*)".*'
    ),
)
