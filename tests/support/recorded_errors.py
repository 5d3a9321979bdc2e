"""Error replies as providers send them, and what each must be understood as.

The bodies have the shapes and words of real ones; ids, amounts and keys are made up.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from llmnb import errors


@dataclass(frozen=True)
class Recorded:
    """One refusal or failure."""

    name: str
    status: int
    body: bytes
    kind: type[errors.LLMNBError]
    provider: str = "openai"
    headers: dict[str, str] = field(default_factory=dict)
    wait: float | None = None
    says: str = ""
    """Words of the provider that the message must pass on."""


def openai(message: str, kind: str | None, code: str | None, param: str | None = None) -> bytes:
    """Return OpenAI's shape."""
    return dump({"error": {"message": message, "type": kind, "param": param, "code": code}})


def anthropic(kind: str, message: str) -> bytes:
    """Return Anthropic's shape."""
    error = {"type": kind, "message": message}
    return dump({"type": "error", "error": error, "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"})


def google(code: int, status: str, message: str, *details: dict[str, Any]) -> bytes:
    """Return Google's shape."""
    error = {"code": code, "message": message, "status": status, "details": list(details)}
    return dump({"error": error})


def quota(*ids: str) -> dict[str, Any]:
    """Return Google's list of the limits that are used up."""
    return {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [
            {"quotaMetric": "generate_content_requests", "quotaId": metric} for metric in ids
        ],
    }


def retry_info(delay: str) -> dict[str, Any]:
    """Return Google's delay."""
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


def dump(value: Any) -> bytes:
    """Return a body, indented as some servers do."""
    return json.dumps(value, indent=2).encode()


_OPENAI = [
    Recorded(
        "openai: requests per minute",
        429,
        openai(
            "Rate limit reached for gpt-4o-mini in organization org-abc on requests per min (RPM): "
            "Limit 3, Used 3, Requested 1. Please try again in 20s. Visit "
            "https://platform.openai.com/account/rate-limits to learn more.",
            "requests",
            "rate_limit_exceeded",
        ),
        errors.RateLimited,
        wait=20.0,
        says="requests per min",
    ),
    Recorded(
        "openai: tokens per minute",
        429,
        openai(
            "Rate limit reached for gpt-4o in organization org-abc on tokens per min (TPM): Limit "
            "30000, Used 29500, Requested 900. Please try again in 800ms.",
            "tokens",
            "rate_limit_exceeded",
        ),
        errors.RateLimited,
        wait=0.8,
    ),
    Recorded(
        "openai: requests per day",
        429,
        openai(
            "Rate limit reached for gpt-4o-mini in organization org-abc on requests per day (RPD): "
            "Limit 200, Used 200, Requested 1. Please try again in 7m12s.",
            "requests",
            "rate_limit_exceeded",
        ),
        errors.RateLimited,
        wait=432.0,
    ),
    Recorded(
        "openai: no credit",
        429,
        openai(
            "You exceeded your current quota, please check your plan and billing details.",
            "insufficient_quota",
            "insufficient_quota",
        ),
        errors.QuotaExhausted,
    ),
    Recorded(
        "openai: hard limit of the account",
        400,
        openai(
            "Billing hard limit has been reached",
            "invalid_request_error",
            "billing_hard_limit_reached",
        ),
        errors.QuotaExhausted,
    ),
    Recorded(
        "openai: wrong key, echoed in part",
        401,
        openai(
            "Incorrect API key provided: sk-abcde***************wxyz. You can find your API key at "
            "https://platform.openai.com/account/api-keys.",
            "invalid_request_error",
            "invalid_api_key",
        ),
        errors.AuthenticationError,
    ),
    Recorded(
        "openai: country not served",
        403,
        openai(
            "Country, region, or territory not supported",
            "request_forbidden",
            "unsupported_country_region_territory",
        ),
        errors.AuthenticationError,
    ),
    Recorded(
        "openai: prompt too long",
        400,
        openai(
            "This model's maximum context length is 128000 tokens. However, your messages resulted "
            "in 130001 tokens. Please reduce the length of the messages.",
            "invalid_request_error",
            "context_length_exceeded",
            "messages",
        ),
        errors.ContextOverflow,
    ),
    Recorded(
        "openai: no such model",
        404,
        openai(
            "The model `gpt-9` does not exist or you do not have access to it.",
            "invalid_request_error",
            "model_not_found",
        ),
        errors.RequestRejected,
        says="gpt-9",
    ),
    Recorded(
        "openai: field not supported",
        400,
        openai(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            "invalid_request_error",
            "unsupported_parameter",
            "max_tokens",
        ),
        errors.RequestRejected,
        says="max_completion_tokens",
    ),
    Recorded(
        "openai: prompt flagged",
        400,
        openai(
            "Invalid prompt: your prompt was flagged as potentially violating our usage policy. "
            "Please try again with a different prompt.",
            "invalid_request_error",
            "invalid_prompt",
        ),
        errors.Filtered,
    ),
    Recorded(
        "openai: a fault of the server",
        500,
        openai(
            "The server had an error while processing your request. Sorry about that!",
            "server_error",
            None,
        ),
        errors.ProviderError,
    ),
    Recorded(
        "openai: overloaded, without a delay",
        503,
        openai("The engine is currently overloaded, please try again later", "server_error", None),
        errors.ProviderError,
    ),
    Recorded(
        "openai: overloaded, with a delay",
        503,
        openai("That model is currently overloaded with other requests.", "server_error", None),
        errors.Overloaded,
        headers={"retry-after": "15"},
        wait=15.0,
    ),
]

_AZURE = [
    Recorded(
        "azure: pace, delay in three places",
        429,
        dump(
            {
                "error": {
                    "code": "429",
                    "message": "Requests to the ChatCompletions_Create Operation under Azure "
                    "OpenAI API version 2024-10-21 have exceeded token rate limit of your current "
                    "OpenAI S0 pricing tier. Please retry after 37 seconds.",
                }
            }
        ),
        errors.RateLimited,
        "azure",
        headers={"retry-after-ms": "36512", "retry-after": "37"},
        wait=37.0,
    ),
    Recorded(
        "azure: pace, delay in words only",
        429,
        dump(
            {
                "error": {
                    "code": "429",
                    "message": "Rate limit is exceeded. Try again in 86 seconds.",
                }
            }
        ),
        errors.RateLimited,
        "azure",
        wait=86.0,
    ),
    Recorded(
        "azure: prompt filtered",
        400,
        dump(
            {
                "error": {
                    "message": "The response was filtered due to the prompt triggering Azure "
                    "OpenAI's content management policy. Please modify your prompt and retry.",
                    "type": None,
                    "param": "prompt",
                    "code": "content_filter",
                    "status": 400,
                    "innererror": {
                        "code": "ResponsibleAIPolicyViolation",
                        "content_filter_result": {"hate": {"filtered": True, "severity": "high"}},
                    },
                }
            }
        ),
        errors.Filtered,
        "azure",
    ),
    Recorded(
        "azure: wrong key",
        401,
        dump(
            {
                "statusCode": 401,
                "message": "Unauthorized. Access token is missing, invalid, audience is incorrect "
                "(https://cognitiveservices.azure.com), or have expired.",
            }
        ),
        errors.AuthenticationError,
        "azure",
        says="Access token is missing",
    ),
    Recorded(
        "azure: no such deployment",
        404,
        dump(
            {
                "error": {
                    "code": "DeploymentNotFound",
                    "message": "The API deployment for this resource does not exist.",
                }
            }
        ),
        errors.RequestRejected,
        "azure",
    ),
]

_ANTHROPIC = [
    Recorded(
        "anthropic: pace",
        429,
        anthropic(
            "rate_limit_error",
            "This request would exceed the rate limit for your organization of 20,000 input tokens "
            "per minute.",
        ),
        errors.RateLimited,
        "anthropic",
        headers={
            "retry-after": "11",
            "anthropic-ratelimit-input-tokens-remaining": "0",
            "anthropic-ratelimit-input-tokens-reset": "2026-01-01T00:00:30Z",
        },
        wait=11.0,
    ),
    Recorded(
        "anthropic: overloaded",
        529,
        anthropic("overloaded_error", "Overloaded"),
        errors.ProviderError,
        "anthropic",
    ),
    Recorded(
        "anthropic: overloaded, with a delay",
        529,
        anthropic("overloaded_error", "Overloaded"),
        errors.Overloaded,
        "anthropic",
        headers={"retry-after": "3"},
        wait=3.0,
    ),
    Recorded(
        "anthropic: no credit, as a 400",
        400,
        anthropic(
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & "
            "Billing to upgrade or purchase credits.",
        ),
        errors.QuotaExhausted,
        "anthropic",
    ),
    Recorded(
        "anthropic: spend cap, as a 400",
        400,
        anthropic(
            "invalid_request_error",
            "You have reached your specified API usage limits. You will regain access on "
            "2026-12-01 at 00:00 UTC.",
        ),
        errors.QuotaExhausted,
        "anthropic",
    ),
    Recorded(
        "anthropic: prompt too long",
        400,
        anthropic("invalid_request_error", "prompt is too long: 205000 tokens > 200000 maximum"),
        errors.ContextOverflow,
        "anthropic",
    ),
    Recorded(
        "anthropic: no room for the answer",
        400,
        anthropic(
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease "
            "input length or `max_tokens` and try again",
        ),
        errors.ContextOverflow,
        "anthropic",
    ),
    Recorded(
        "anthropic: spend cap of a workspace, as a 400",
        400,
        anthropic(
            "invalid_request_error",
            "You have reached your specified workspace API usage limits. You will regain access on "
            "2026-12-01 at 00:00 UTC.",
        ),
        errors.QuotaExhausted,
        "anthropic",
    ),
    Recorded(
        "anthropic: billing",
        402,
        anthropic("billing_error", "There is an issue with your billing."),
        errors.QuotaExhausted,
        "anthropic",
    ),
    Recorded(
        "anthropic: account closed, as a 400",
        400,
        anthropic("invalid_request_error", "This organization has been disabled."),
        errors.AuthenticationError,
        "anthropic",
    ),
    Recorded(
        "anthropic: key without permission",
        403,
        anthropic("permission_error", "Your API key does not have permission to use this model."),
        errors.AuthenticationError,
        "anthropic",
    ),
    Recorded(
        "anthropic: no such model",
        404,
        anthropic("not_found_error", "model: claude-9"),
        errors.RequestRejected,
        "anthropic",
        says="claude-9",
    ),
    Recorded(
        "anthropic: a field it does not know",
        400,
        anthropic("invalid_request_error", "logprobs: Extra inputs are not permitted"),
        errors.RequestRejected,
        "anthropic",
        says="logprobs",
    ),
    Recorded(
        "anthropic: too many bytes",
        413,
        anthropic("request_too_large", "Request exceeds the maximum size"),
        errors.RequestRejected,
        "anthropic",
    ),
    Recorded(
        "anthropic: pace of the account, no delay but the headers of a window",
        429,
        anthropic(
            "rate_limit_error",
            "This request would exceed your account's rate limit. Please try again later.",
        ),
        errors.RateLimited,
        "anthropic",
        headers={
            "anthropic-ratelimit-requests-remaining": "0",
            "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:07Z",
            "anthropic-ratelimit-tokens-remaining": "80000",
            "anthropic-ratelimit-tokens-reset": "2026-01-01T00:01:00Z",
        },
        wait=7.0,
    ),
    Recorded(
        "anthropic: a fault of the server",
        500,
        anthropic("api_error", "Internal server error"),
        errors.ProviderError,
        "anthropic",
    ),
    Recorded(
        "anthropic: wrong key",
        401,
        anthropic("authentication_error", "invalid x-api-key"),
        errors.AuthenticationError,
        "anthropic",
    ),
    Recorded(
        "anthropic: gave up",
        504,
        anthropic("timeout_error", "The request timed out while processing."),
        errors.MaybeBilled,
        "anthropic",
    ),
]

_GOOGLE_TEXT = (
    "You exceeded your current quota, please check your plan and billing details. For more "
    "information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits."
)

_GEMINI = [
    Recorded(
        "gemini: requests per minute, worded as a quota",
        429,
        google(
            429,
            "RESOURCE_EXHAUSTED",
            _GOOGLE_TEXT,
            quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"),
            retry_info("34.074824224s"),
        ),
        errors.RateLimited,
        "gemini",
        wait=34.074824224,
    ),
    Recorded(
        "gemini: requests per day",
        429,
        google(
            429,
            "RESOURCE_EXHAUSTED",
            _GOOGLE_TEXT,
            quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier"),
            retry_info("21s"),
        ),
        errors.QuotaExhausted,
        "gemini",
    ),
    Recorded(
        "gemini: exhausted, in a list, without details",
        429,
        b"["
        + google(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).")
        + b"]",
        errors.RateLimited,
        "gemini",
    ),
    Recorded(
        "gemini: wrong key, as a 400",
        400,
        google(
            400,
            "INVALID_ARGUMENT",
            "API key not valid. Please pass a valid API key.",
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "API_KEY_INVALID",
                "domain": "googleapis.com",
            },
        ),
        errors.AuthenticationError,
        "gemini",
    ),
    Recorded(
        "gemini: prompt too long",
        400,
        google(
            400,
            "INVALID_ARGUMENT",
            "The input token count (1200000) exceeds the maximum number of tokens allowed "
            "(1048576).",
        ),
        errors.ContextOverflow,
        "gemini",
    ),
    Recorded(
        "gemini: two limits at once, one of the day",
        429,
        google(
            429,
            "RESOURCE_EXHAUSTED",
            _GOOGLE_TEXT,
            quota(
                "GenerateContentInputTokensPerModelPerMinute-FreeTier",
                "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
            ),
            retry_info("44s"),
        ),
        errors.QuotaExhausted,
        "gemini",
    ),
    Recorded(
        "gemini: a model that the account may not use",
        429,
        google(
            429,
            "RESOURCE_EXHAUSTED",
            f"{_GOOGLE_TEXT}\n* Quota exceeded for metric: generate_content_free_tier_requests, "
            "limit: 0, model: gemini-2.5-pro\nPlease retry in 11.767792953s.",
            quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"),
            retry_info("11s"),
        ),
        errors.QuotaExhausted,
        "gemini",
        says="check your plan",
    ),
    Recorded(
        "gemini: tokens per minute, delay in words only",
        429,
        google(
            429,
            "RESOURCE_EXHAUSTED",
            f"{_GOOGLE_TEXT}\n* Quota exceeded for metric: paid_tier_input_tokens, "
            "limit: 4000000, model: gemini-2.5-flash\nPlease retry in 9.5s.",
        ),
        errors.RateLimited,
        "gemini",
        wait=9.5,
    ),
    Recorded(
        "gemini: no credit",
        429,
        google(
            429,
            "RESOURCE_EXHAUSTED",
            "Your prepayment credits are depleted. Please go to AI Studio at "
            "https://ai.studio/projects to manage your project and billing.",
        ),
        errors.QuotaExhausted,
        "gemini",
    ),
    Recorded(
        "gemini: an error as a text in another",
        429,
        dump(
            {
                "error": {
                    "message": google(
                        429,
                        "RESOURCE_EXHAUSTED",
                        "Resource has been exhausted (e.g. check quota).",
                        retry_info("34s"),
                    ).decode(),
                    "code": 429,
                    "status": "Too Many Requests",
                }
            }
        ),
        errors.RateLimited,
        "gemini",
        wait=34.0,
        says="(HTTP 429): Resource has been exhausted",
    ),
    Recorded(
        "gemini: country not served, as a 400",
        400,
        google(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
        errors.AuthenticationError,
        "gemini",
    ),
    Recorded(
        "gemini: key taken out of service",
        403,
        google(
            403,
            "PERMISSION_DENIED",
            "Your API key was reported as leaked. Please use another API key.",
        ),
        errors.AuthenticationError,
        "gemini",
    ),
    Recorded(
        "gemini: no such model",
        404,
        google(
            404,
            "NOT_FOUND",
            "models/gemini-9 is not found for API version v1beta, or is not supported for "
            "generateContent.",
        ),
        errors.RequestRejected,
        "gemini",
        says="gemini-9",
    ),
    Recorded(
        "gemini: a field it does not know",
        400,
        google(
            400,
            "INVALID_ARGUMENT",
            "Invalid JSON payload received. Unknown name \"min_p\" at 'generation_config': Cannot "
            "find field.",
        ),
        errors.RequestRejected,
        "gemini",
        says="min_p",
    ),
    Recorded(
        "gemini: gave up",
        504,
        google(504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
        errors.MaybeBilled,
        "gemini",
    ),
    Recorded(
        "gemini: a fault of the server",
        500,
        google(500, "INTERNAL", "An internal error has occurred. Please retry or report."),
        errors.ProviderError,
        "gemini",
    ),
    Recorded(
        "gemini: overloaded",
        503,
        google(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
        errors.ProviderError,
        "gemini",
    ),
]

_TOGETHER = [
    Recorded(
        "together: ordinary pace, called credit_limit",
        429,
        openai(
            "You have been rate limited. Your rate limit is 60 queries per minute. Please navigate "
            "to https://api.together.xyz/settings/billing to upgrade to a paid plan.",
            "credit_limit",
            None,
        ),
        errors.RateLimited,
        "together",
    ),
    Recorded(
        "together: pace, header of its window",
        429,
        dump({"error_type": "dynamic_request_limited", "message": "Too many requests."}),
        errors.RateLimited,
        "together",
        headers={"x-ratelimit-remaining": "0", "x-ratelimit-reset": "2"},
        wait=2.0,
    ),
    Recorded(
        "together: monthly cap",
        402,
        openai("You have reached your monthly spending limit.", "credit_limit", None),
        errors.QuotaExhausted,
        "together",
    ),
    Recorded(
        "together: prompt too long, as a 403",
        403,
        openai(
            "Input token count + max_tokens parameter must be less than the context length of the "
            "model being queried.",
            "invalid_request_error",
            None,
        ),
        errors.ContextOverflow,
        "together",
    ),
    Recorded(
        "together: prompt too long, as a 422",
        422,
        openai(
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097. Given: "
            "5013 `inputs` tokens and 128 `max_new_tokens`",
            "invalid_request_error",
            None,
        ),
        errors.ContextOverflow,
        "together",
    ),
]

_OTHERS = [
    Recorded(
        "groq: tokens per minute",
        429,
        openai(
            "Rate limit reached for model `llama-3.1-8b-instant` in organization `org_01` on "
            "tokens per minute (TPM): Limit 6000, Used 5800, Requested 450. Please try again in "
            "2.5s.",
            "tokens",
            "rate_limit_exceeded",
        ),
        errors.RateLimited,
        "groq",
        headers={"retry-after": "3"},
        wait=3.0,
    ),
    Recorded(
        "groq: one request larger than the limit",
        413,
        openai(
            "Request too large for model `llama-3.1-8b-instant` in organization `org_01` on tokens "
            "per minute (TPM): Limit 6000, Requested 7012.",
            "tokens",
            "rate_limit_exceeded",
        ),
        errors.RequestRejected,
        "groq",
    ),
    Recorded(
        "groq: no capacity at this tier",
        498,
        openai("Flex tier capacity exceeded.", "capacity_exceeded", None),
        errors.RateLimited,
        "groq",
    ),
    Recorded(
        "groq: prompt too long",
        400,
        openai(
            "Please reduce the length of the messages or completion.",
            "invalid_request_error",
            "context_length_exceeded",
            "messages",
        ),
        errors.ContextOverflow,
        "groq",
    ),
    Recorded(
        "mistral: pace",
        429,
        dump(
            {
                "object": "error",
                "message": "Rate limit exceeded",
                "type": "rate_limited",
                "param": None,
                "code": "1300",
                "raw_status_code": 429,
            }
        ),
        errors.RateLimited,
        "mistral",
    ),
    Recorded(
        "mistral: wrong key",
        401,
        dump({"detail": "Unauthorized"}),
        errors.AuthenticationError,
        "mistral",
        says="Unauthorized",
    ),
    Recorded(
        "mistral: wrong field, with the prompt repeated",
        422,
        dump(
            {
                "object": "error",
                "message": {
                    "detail": [
                        {
                            "type": "extra_forbidden",
                            "loc": ["body", "top_k"],
                            "msg": "Extra inputs are not permitted",
                            "input": "insufficient_quota: exceeded your current quota",
                        }
                    ]
                },
                "type": "invalid_request_error",
            }
        ),
        errors.RequestRejected,
        "mistral",
        says="Extra inputs are not permitted",
    ),
    Recorded(
        "mistral: prompt too long",
        400,
        dump(
            {
                "object": "error",
                "message": "Prompt contains 40000 tokens and 0 draft tokens, too large for model "
                "with 32768 maximum context length",
                "type": "invalid_request_prompt",
                "code": "3051",
            }
        ),
        errors.ContextOverflow,
        "mistral",
    ),
    Recorded(
        "openrouter: no credit",
        402,
        dump(
            {
                "error": {
                    "message": "Insufficient credits. Add more using https://openrouter.ai/credits",
                    "code": 402,
                }
            }
        ),
        errors.QuotaExhausted,
        "openrouter",
    ),
    Recorded(
        "openrouter: credit held by earlier requests",
        402,
        dump(
            {
                "error": {
                    "message": "In-flight budget reached",
                    "code": 402,
                    "metadata": {"limit_source": "openrouter_in_flight_budget"},
                }
            }
        ),
        errors.RateLimited,
        "openrouter",
        headers={"retry-after": "5"},
        wait=5.0,
    ),
    Recorded(
        "openrouter: pace, moment of the reset inside the body",
        429,
        dump(
            {
                "error": {
                    "message": "Rate limit exceeded: free-models-per-min.",
                    "code": 429,
                    "metadata": {
                        "headers": {
                            "X-RateLimit-Limit": "20",
                            "X-RateLimit-Remaining": "0",
                            "X-RateLimit-Reset": "1767225645000",
                        }
                    },
                }
            }
        ),
        errors.RateLimited,
        "openrouter",
        wait=45.0,
    ),
    Recorded(
        "openrouter: prompt flagged, as a 403",
        403,
        dump(
            {
                "error": {
                    "code": 403,
                    "message": "openai/gpt-4o requires moderation on OpenRouter. Your input was "
                    'flagged for "violence".',
                    "metadata": {"reasons": ["violence"], "flagged_input": "How do I…"},
                }
            }
        ),
        errors.Filtered,
        "openrouter",
    ),
    Recorded(
        "openrouter: an upstream's words",
        502,
        dump(
            {
                "error": {
                    "message": "Provider returned error",
                    "code": 502,
                    "metadata": {"raw": "upstream connect error", "provider_name": "Somebody"},
                }
            }
        ),
        errors.ProviderError,
        "openrouter",
        says="upstream connect error",
    ),
    Recorded(
        "xai: prompt flagged, as a 403",
        403,
        dump(
            {
                "code": "The caller does not have permission to execute the specified operation",
                "error": "Content violates usage guidelines. Team: 0, API key ID: 0, Model: "
                "grok-4.3, Failed check: SAFETY_CHECK_TYPE_BIO",
            }
        ),
        errors.Filtered,
        "xai",
    ),
    Recorded(
        "xai: wrong key, as a 400",
        400,
        dump(
            {
                "code": "Client specified an invalid argument",
                "error": "Incorrect API key provided: xa***yz. You can obtain an API key from "
                "https://console.x.ai.",
            }
        ),
        errors.AuthenticationError,
        "xai",
    ),
    Recorded(
        "deepseek: no credit",
        402,
        openai("Insufficient Balance", "unknown_error", "invalid_request_error"),
        errors.QuotaExhausted,
        "deepseek",
    ),
    Recorded(
        "llamacpp: prompt too long",
        400,
        dump(
            {
                "error": {
                    "code": 400,
                    "message": "the request exceeds the available context size, try increasing it",
                    "type": "exceed_context_size_error",
                    "n_prompt_tokens": 5000,
                    "n_ctx": 4096,
                }
            }
        ),
        errors.ContextOverflow,
        "llamacpp",
    ),
    Recorded(
        "vllm: prompt too long",
        400,
        dump(
            {
                "object": "error",
                "message": "This model's maximum context length is 2048 tokens. However, you "
                "requested 2100 tokens in the messages, Please reduce the length of the messages.",
                "type": "BadRequestError",
                "param": None,
                "code": 400,
            }
        ),
        errors.ContextOverflow,
        "vllm",
    ),
    Recorded(
        "ollama: no such model",
        404,
        openai("model 'llama9' not found", "api_error", None),
        errors.RequestRejected,
        "ollama",
        says="llama9",
    ),
    Recorded(
        "a proxy: bad gateway, as a page",
        502,
        b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx</body></html>",
        errors.ProviderError,
        says="502 Bad Gateway",
    ),
    Recorded(
        "a proxy: gateway timeout, as a page",
        504,
        b"<!DOCTYPE html><html><head><title>Gateway time-out</title></head></html>",
        errors.MaybeBilled,
    ),
    Recorded("a proxy: no answer in time", 524, b"error code: 524", errors.MaybeBilled),
    Recorded("a server: request timeout", 408, b"", errors.MaybeBilled),
    Recorded("a server: not built", 501, b"", errors.ProviderError),
    Recorded("a server: teapot", 418, b"I'm a teapot", errors.RequestRejected, says="teapot"),
    Recorded("a server: moved", 308, b"", errors.RedirectRefused, headers={"location": "/v2"}),
    Recorded("a server: accepted, no answer", 202, b"{}", errors.BadReply),
    Recorded("a server: no content", 204, b"", errors.BadReply),
]

RECORDED = [*_OPENAI, *_AZURE, *_ANTHROPIC, *_GEMINI, *_TOGETHER, *_OTHERS]

NOW = 1_767_225_600.0
"""The moment of all of them: 2026-01-01T00:00:00Z."""
