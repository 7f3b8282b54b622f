"""The vendors' names for failures, and the status that each stands for. Data, and the choice among several of them.

A name is compared in one form: `RateLimitError`, `rate-limit-exceeded` and `rate_limit_error` differ in nothing that counts.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable


def names(several: str) -> frozenset[str]:
    """Return names that are written with spaces between them."""
    return frozenset(several.split())


_STATUSES: dict[int, str] = {
    400: "invalid_request bad_request validation invalid_argument invalid_prompt context_length_exceeded string_above_max_length "
    "unsupported_parameter unsupported_value unknown_parameter missing_required_parameter unprocessable_entity",
    401: "authentication authentication_failed invalid_api_key incorrect_api_key invalid_authentication unauthenticated unauthorized "
    "invalid_token expired_token token_expired",
    402: "payment_required",
    403: "permission permission_denied forbidden access_denied access_terminated account_deactivated "
    "unsupported_country_region_territory",
    404: "not_found model_not_found deployment_not_found unknown_model model_not_available",
    413: "request_too_large payload_too_large",
    429: "rate_limit rate_limit_exceeded rate_limit_reached rate_limited too_many_requests throttled throttling resource_exhausted",
    500: "server api internal internal_server upstream",
    503: "overloaded engine_overloaded service_unavailable unavailable slow_down busy model_loading at_capacity",
    504: "timeout gateway_timeout deadline_exceeded",
}
_STATUS_OF = {name: status for status, several in _STATUSES.items() for name in names(several)}

USED_UP = names(
    "insufficient_quota billing billing_hard_limit_reached billing_not_active credit_balance_too_low insufficient_credits "
    "insufficient_credit insufficient_balance insufficient_funds out_of_credits payment_required enforced_spend_limit_reached "
    "contract_spend_limit_reached linked_organization_spend_limit_reached"
)
"""Names that come with 402, 429 or, at Anthropic, 400. No time brings the quota back."""

USED_UP_FOR_NOW = frozenset({"quota_exceeded", "exceeded_current_quota"})
"""Names of a quota that may be one of a minute: then the server says how long to wait."""

FILTERED = names(
    "content_filter content_filtered content_policy_violation moderation_blocked image_content_policy_violation bio_policy "
    "misalignment_policy_violation responsible_ai_policy_violation"
)

_BEGINNINGS_OF_REFUSALS = ("invalid_", "image_", "unsupported_", "unknown_", "missing_", "empty_", "failed_to_download")

_VAGUE = (400, 500)
"""Statuses that say no more than whose fault it is. A name or a number beside them may say more."""

VAGUE_ANSWERS = (*_VAGUE, 422, 502, 503)
"""The same for the status of an answer: servers in between answer so whatever the vendor behind them said."""

FILTERED_WORDS = re.compile(
    r"nsfw|flagged as (sensitive|potentially)|\(E005\)|content (policy|moderation)|safety (filter|checker|system)",
    re.IGNORECASE,
)
_QUOTA_WORDS = re.compile(
    r"insufficient[ _](quota|credits?|balance|funds)|out of credits?|credit balance is too low|exceeded your current quota|"
    r"exceeded your monthly|billing (hard )?limit",
    re.IGNORECASE,
)
_STATUS_OF_WORDS = (
    (402, _QUOTA_WORDS),
    (
        401,
        re.compile(
            r"(invalid|incorrect|wrong|missing|expired|no)[\w' ]{0,20}(api[ _-]?key|access token|auth\w* token|credentials)|"
            r"\bunauthori[sz]ed\b|authentication (failed|required|error)",
            re.IGNORECASE,
        ),
    ),
    (403, re.compile(r"\bforbidden\b|(permission|access) (is )?denied|insufficient permissions?", re.IGNORECASE)),
    (429, re.compile(r"\brate[ -]limit|too many requests|\bthrottl", re.IGNORECASE)),
    (404, re.compile(r"\bmodel\b.{0,120}(does not exist|not found)", re.IGNORECASE)),
)
_REFUSING_WORDS = re.compile(r"context (length|window)|prompt is too long|too many tokens", re.IGNORECASE)

_AGAIN = re.compile(
    r"(?<!and )(?<!then )\b(please (re-?try|try (it )?again)|try again (later|soon|shortly|in \S*\d|in a )|"
    r"(please )?retry (your|the|this) request|retry (later|after|in) )",
    re.IGNORECASE,
)
_OTHERWISE = re.compile(
    r"try again(, or)? (with|using|after (chang|fix|correct|shorten|remov|adding))|different (input|prompt|image|file)",
    re.IGNORECASE,
)


def normal(name: str) -> str:
    """Return a vendor's name in the form in which names are compared."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip()).lower()
    return re.sub(r"_(error|exception|err)$", "", re.sub(r"[\s.-]+", "_", snake))


def asks_again(said: str) -> bool:
    """Return whether a server asks for the same request once more, and not for another one."""
    return _AGAIN.search(said) is not None and _OTHERWISE.search(said) is None


def is_used_up(told: Collection[str], said: str, *, waits: bool) -> bool:
    """Return whether an account's quota is used up for good. A server that says how long to wait (`waits`) means a rate."""
    if not USED_UP.isdisjoint(told):
        return True
    return not waits and (not USED_UP_FOR_NOW.isdisjoint(told) or _QUOTA_WORDS.search(said) is not None)


def is_filtered(status: int, told: Collection[str], said: str) -> bool:
    """Return whether a filter of contents refused the call. A server that broke down may name its filter and mean its own fault."""
    if status >= 500:  # noqa: PLR2004 - the class of server errors
        return not FILTERED.isdisjoint(told)
    return not FILTERED.isdisjoint(told) or FILTERED_WORDS.search(said) is not None


def status_meant(answered: int | None, told: Iterable[str], numbers: Iterable[int], said: str) -> int:
    """Return the status that a failure has, by whichever road it came.

    `answered` is the status of the answer, None for an error within an answer of 200 or within a stream. A definite status of the
    answer stands. A vague one, or none, gives way to a definite name or number in the error, then to words that are the same at all vendors.
    """
    if answered is not None and answered not in VAGUE_ANSWERS:
        return answered
    told = list(told)
    found = [
        *(_STATUS_OF[name] for name in told if name in _STATUS_OF),
        *numbers,
        *(402 for name in told if name in USED_UP),
    ]
    if (definite := next((status for status in found if status not in _VAGUE), None)) is not None:
        return definite
    if (answered or 400) < 500:  # noqa: PLR2004 - the class of server errors
        by_words = next((status for status, words in _STATUS_OF_WORDS if words.search(said)), None)
        if by_words is not None:
            return by_words
    if answered is not None:
        return answered
    if found:
        return found[0]
    refuses = any(name.startswith(_BEGINNINGS_OF_REFUSALS) for name in told) or _REFUSING_WORDS.search(said)
    return 400 if refuses or is_filtered(400, told, said) else 500
