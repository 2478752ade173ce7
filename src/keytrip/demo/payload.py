"""One call as LiteLLM logs it: a StandardLoggingPayload, without the message bodies."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from keytrip.demo.profiles import Model, Profile

_FAILURES = {
    "": ("", ""),
    "429": ("RateLimitError", "litellm.RateLimitError: the provider's rate limit was reached"),
    "500": ("InternalServerError", "litellm.InternalServerError: the provider failed to answer"),
}


@dataclass(frozen=True, slots=True)
class Call:
    """One request through the gateway.

    Attributes:
        serial: 32 hex digits that no other call has.
        profile: Whose key, as it is that day.
        model: What it asks for.
        start: When it arrives, in Unix seconds.
        seconds: How long the answer takes.
        prompt: Input tokens, cached ones included.
        cached: Those read from the provider's cache.
        completion: Output tokens.
        address: Where it comes from.
        end_user: The end user it names, or None.
        failure: HTTP status that it fails with, or an empty string.
    """

    serial: str
    profile: Profile
    model: Model
    start: float
    seconds: float
    prompt: int
    cached: int
    completion: int
    address: str
    end_user: str | None
    failure: str


def line(call: Call) -> str:
    """Return the call as one line of JSON, members always in the same order."""
    return json.dumps(payload(call), separators=(",", ":"))


def payload(call: Call) -> dict[str, Any]:
    """Return the call as a StandardLoggingPayload; a call that failed has no tokens and costs nothing."""
    usage = _usage(call)
    agent = call.profile.agent
    return {
        "id": _answer_id(call),
        "litellm_call_id": _uuid(call.serial),
        "call_type": "aembedding" if call.model.embeds else "acompletion",
        "status": "failure" if call.failure else "success",
        "custom_llm_provider": call.model.provider,
        "startTime": call.start,
        "endTime": round(call.start + call.seconds, 6),
        "response_time": call.seconds,
        "model": f"{call.model.provider}/{call.model.name}",
        "model_group": call.model.group,
        "metadata": _metadata(call, usage),
        "response_cost": 0.0 if call.failure else call.model.cost(call.prompt, call.cached, call.completion),
        "total_tokens": usage["total_tokens"],
        "prompt_tokens": usage["prompt_tokens"],
        "completion_tokens": usage["completion_tokens"],
        "request_tags": [f"User-Agent: {agent.partition('/')[0]}", f"User-Agent: {agent}"],
        "end_user": call.end_user,
        "requester_ip_address": call.address,
        "user_agent": agent,
        "model_parameters": {} if call.model.embeds else {"max_tokens": 4096, "stream": False},
        "error_information": _error(call),
    }


def _answer_id(call: Call) -> str:
    """Return the answer's id; the gateway has none but its own for embeddings and failures."""
    own = call.model.embeds or call.failure
    return _uuid(call.serial) if own else f"chatcmpl-{call.serial[:28]}"


def _uuid(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _usage(call: Call) -> dict[str, Any]:
    prompt, cached, completion = (0, 0, 0) if call.failure else (call.prompt, call.cached, call.completion)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": None if call.model.embeds or call.failure else {"cached_tokens": cached},
    }


def _metadata(call: Call, usage: dict[str, Any]) -> dict[str, Any]:
    return {
        "user_api_key_hash": call.profile.key_id,
        "user_api_key_alias": call.profile.alias,
        "user_api_key_team_id": call.profile.team,
        "user_api_key_user_id": call.profile.user,
        "user_api_key_request_route": "/v1/embeddings" if call.model.embeds else "/v1/chat/completions",
        "requester_ip_address": call.address,
        "user_agent": call.profile.agent,
        "usage_object": usage,
    }


def _error(call: Call) -> dict[str, str]:
    kind, message = _FAILURES[call.failure]
    return {
        "error_code": call.failure,
        "error_class": kind,
        "llm_provider": call.model.provider if call.failure else "",
        "error_message": message,
    }
