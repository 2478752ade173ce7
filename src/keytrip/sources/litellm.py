"""LiteLLM proxy: its spend-log table, and its standard logging payload.

The table as JSON or CSV, from the database or GET /spend/logs; the payload by the file, API, S3 and GCS loggers.
Facts: fixtures made by running LiteLLM, tests/fixtures/README.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keytrip.records.sql import quote_text
from keytrip.sources.base import Source, bare_address


def _recognise(record: Mapping[str, Any]) -> bool:
    return "call_type" in record and "startTime" in record and ("custom_llm_provider" in record or "metadata" in record)


# Paths into `metadata`, read in one pass; their order gives the index in the list `meta`.
_META = (
    "$.user_api_key_hash",
    "$.user_api_key",
    "$.user_api_key_alias",
    "$.user_api_key_team_id",
    "$.user_api_key_org_id",
    "$.user_api_key_project_id",
    "$.user_api_key_user_id",
    "$.user_api_key_request_route",
    "$.user_agent",
    "$.usage_object.prompt_tokens_details.cached_tokens",
    "$.additional_usage_values.cache_read_input_tokens",
    "$.error_information.error_code",
    "$.error_information.normalized_error",
    "$.requester_ip_address",
)
_ERROR = ("$.error_code", "$.normalized_error")


def _paths(paths: tuple[str, ...]) -> str:
    return "[" + ", ".join(map(quote_text, paths)) + "]"


def _meta(path: str) -> str:
    return f"nullif(meta[{_META.index('$.' + path) + 1}], '')"


def _json(member: str, paths: tuple[str, ...]) -> str:
    return f"case when json_valid({member}) then json_extract_string({member}, {_paths(paths)}) end"


def _first(*values: str) -> str:
    return f"coalesce({', '.join(values)})"


def _text(member: str) -> str:
    return f"nullif(\"{member}\", '')"


_PROVIDERS = {
    "azure": "azure_openai",
    "azure_ai": "azure_openai",
    "bedrock": "aws_bedrock",
    "bedrock_converse": "aws_bedrock",
    "gemini": "google",
    "vertex_ai": "google",
    "vertex_ai_beta": "google",
}
_OPERATIONS = {
    "chat": ("completion", "acompletion", "responses", "aresponses", "anthropic_messages", "agenerate_content"),
    "text_completion": ("text_completion", "atext_completion"),
    "embeddings": ("embedding", "aembedding"),
    "images": ("image_generation", "aimage_generation", "image_edit", "aimage_edit"),
    "audio": ("transcription", "atranscription", "speech", "aspeech"),
    "moderation": ("moderation", "amoderation"),
    "rerank": ("rerank", "arerank"),
    "realtime": ("_arealtime", "arealtime", "realtime"),
}


def _mapped(value: str, mapping: Mapping[str, str]) -> str:
    cases = " ".join(f"when {quote_text(k)} then {quote_text(v)}" for k, v in mapping.items())
    return f"case {value} {cases} else {value} end"


def _operation() -> str:
    known = {name: operation for operation, names in _OPERATIONS.items() for name in names}
    kinds = {"file": "files", "batch": "batch", "fine_tuning": "fine_tuning"}
    cases = " ".join(f"when contains(call_type, {quote_text(k)}) then {quote_text(v)}" for k, v in kinds.items())
    return f"case {cases} else {_mapped(_text('call_type'), known)} end"


# An error code may be the provider's own word; the normalised error then begins with the status.
_CODE = _first(_meta("error_information.error_code"), "nullif(err[1], '')")
_NORMAL = _first(_meta("error_information.normalized_error"), "nullif(err[2], '')")
_STATUS = (
    f"case when status = 'success' then '200' else coalesce(nullif(regexp_extract({_CODE}, '^[1-5][0-9][0-9]$'), ''), "
    f"nullif(regexp_extract({_NORMAL}, '^([1-5][0-9][0-9])_', 1), '')) end"
)
# `openai/gpt-4o`, `us.anthropic.claude-...`, `arn:aws:bedrock:...:inference-profile/us.anthropic...`
_MODEL = (
    "nullif(regexp_replace(regexp_replace(\"model\", '^.*/', ''), "
    "'^(us|eu|apac|global|us-gov)\\.(anthropic|amazon|meta|mistral|cohere|deepseek)', '\\2'), '')"
)
# The table marks an answer from the cache in its id, the payload does not.
_ID = f"regexp_replace({_first(_text('id'), _text('request_id'))}, '_cache_hit[0-9.]+$', '')"
# A proxy in front appends to X-Forwarded-For: the first is the client (as far as the proxy can be believed).
_IP = f"trim(split_part(coalesce({_text('requester_ip_address')}, {_meta('requester_ip_address')}), ',', 1))"

SOURCE = Source(
    name="litellm",
    about="LiteLLM proxy: spend logs (JSON, CSV) and standard logging payloads (file, S3, GCS, generic API)",
    recognise=_recognise,
    members={
        "id": "VARCHAR",
        "request_id": "VARCHAR",
        "litellm_call_id": "VARCHAR",
        "call_type": "VARCHAR",
        "status": "VARCHAR",
        "custom_llm_provider": "VARCHAR",
        "startTime": "VARCHAR",
        "api_key": "VARCHAR",
        "model": "VARCHAR",
        "user": "VARCHAR",
        "end_user": "VARCHAR",
        "team_id": "VARCHAR",
        "organization_id": "VARCHAR",
        "metadata": "VARCHAR",
        "error_information": "VARCHAR",
        "model_parameters": "VARCHAR",
        "requester_ip_address": "VARCHAR",
        "user_agent": "VARCHAR",
        "prompt_tokens": "BIGINT",
        "completion_tokens": "BIGINT",
        "response_cost": "DOUBLE",
        "spend": "DOUBLE",
    },
    lets={
        "meta": _json("metadata", _META),
        "err": _json("error_information", _ERROR),
    },
    fields={
        "timestamp": '"startTime"',
        "provider": _mapped(_text("custom_llm_provider"), _PROVIDERS),
        "key_id": _first(_meta("user_api_key_hash"), _text("api_key"), _meta("user_api_key")),
        "key_label": _meta("user_api_key_alias"),
        "project": _first(
            _text("team_id"),
            _meta("user_api_key_team_id"),
            _meta("user_api_key_project_id"),
            _text("organization_id"),
            _meta("user_api_key_org_id"),
        ),
        "user": _first(_text("end_user"), _text("user"), _meta("user_api_key_user_id")),
        "model": _MODEL,
        "model_raw": _text("model"),
        "endpoint": _first(_meta("user_api_key_request_route"), _text("call_type")),
        "operation": _operation(),
        "input_tokens": '"prompt_tokens"',
        "cached_input_tokens": _first(
            _meta("usage_object.prompt_tokens_details.cached_tokens"),
            _meta("additional_usage_values.cache_read_input_tokens"),
        ),
        "output_tokens": '"completion_tokens"',
        "cost_usd": 'coalesce("response_cost", "spend")',
        "source_ip": f"nullif({bare_address(_IP)}, '')",
        "user_agent": _first(_text("user_agent"), _meta("user_agent")),
        "status_code": _STATUS,
        # an upstream may repeat its id, and a fallback repeats the call's: only both together name a request
        "request_id": f"nullif(concat_ws('/', {_ID}, {_text('litellm_call_id')}), '')",
        "max_tokens": (
            "case when json_valid(model_parameters) then "
            "coalesce(json_extract_string(model_parameters, '$.max_tokens'), "
            "json_extract_string(model_parameters, '$.max_output_tokens')) end"
        ),
    },
    lacks={
        "country": "LiteLLM does not enrich addresses",
        "asn": "LiteLLM does not enrich addresses",
        "network": "LiteLLM does not enrich addresses",
        "max_tokens": "not in the spend-log table",
    },
    priced=True,
)
