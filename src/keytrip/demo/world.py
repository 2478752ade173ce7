"""What the made-up company's keys share: models, habits, sites and clients.

Addresses are from ranges kept for tests and documentation (198.18.0.0/15, 2001:db8::/32), so that none is anybody's.
"""

from __future__ import annotations

from keytrip.demo.profiles import Change, Habit, Model, Network, Site

GPT_4O_OLD = Model("openai", "gpt-4o-2024-08-06", "gpt-4o", 2.5, 1.25, 10.0)
GPT_4O = Model("openai", "gpt-4o-2024-11-20", "gpt-4o", 2.5, 1.25, 10.0)
MINI_4O = Model("openai", "gpt-4o-mini-2024-07-18", "gpt-4o-mini", 0.15, 0.075, 0.6)
GPT_41 = Model("openai", "gpt-4.1-2025-04-14", "gpt-4.1", 2.0, 0.5, 8.0)
MINI_41 = Model("openai", "gpt-4.1-mini-2025-04-14", "gpt-4.1-mini", 0.4, 0.1, 1.6)
MINI_41_UNDATED = Model("openai", "gpt-4.1-mini", "gpt-4.1-mini", 0.4, 0.1, 1.6)
SMALL = Model("openai", "text-embedding-3-small", "text-embedding-3-small", 0.02, 0.02, 0.0)
LARGE = Model("openai", "text-embedding-3-large", "text-embedding-3-large", 0.13, 0.13, 0.0)
SONNET = Model("anthropic", "claude-sonnet-4-5-20250929", "claude-sonnet-4-5", 3.0, 0.3, 15.0)
HAIKU = Model("anthropic", "claude-haiku-4-5-20251001", "claude-haiku-4-5", 1.0, 0.1, 5.0)
OPUS = Model("anthropic", "claude-opus-4-1-20250805", "claude-opus-4-1", 15.0, 1.5, 75.0)
FLASH = Model("gemini", "gemini-2.5-flash", "gemini-2.5-flash", 0.3, 0.03, 2.5)

_NIGHT = (0,) * 8
_WORKDAY = (*_NIGHT, 6, 10, 12, 11, 6, 9, 12, 12, 10, 7, 3, *(0,) * 5)
_ROUND_THE_CLOCK = (*(5,) * 7, 8, *(12,) * 11, *(9,) * 5)
_QUARTERS = (1, *(0,) * 5) * 4
_TWO_AT_NIGHT = (0, 0, 1, *(0,) * 21)
OFFICE = Habit(_WORKDAY, (*_NIGHT, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, *(0,) * 6))
SERVICE = Habit(_ROUND_THE_CLOCK, tuple(weight - 1 for weight in _ROUND_THE_CLOCK))
NIGHTLY = Habit(_TWO_AT_NIGHT, _TWO_AT_NIGHT, burst=10_000, spacing=18, minutes=10)
PIPELINE = Habit(_QUARTERS, _QUARTERS, burst=16, spacing=3, minutes=20)
BUILDS = Habit(_WORKDAY, (*_NIGHT, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, *(0,) * 6), burst=9, spacing=4)

BERLIN = Site(Network(("198.18.10.", "198.18.11.", "198.18.12."), pool=8), 1)
TORONTO = Site(Network(("198.18.20.", "198.18.21."), pool=6), -5)
SINGAPORE = Site(Network(("198.18.30.", "198.18.31.", "198.18.32.", "198.18.33."), pool=5), 8)
CLOUD_EU = Site(Network(("198.19.40.",), pool=4, moves=True), 1)
CLOUD_US = Site(Network(("198.19.60.",), pool=6, moves=True), -5)
CLOUD_ASIA = Site(Network(("198.19.80.",), pool=3, moves=True), 8)
CLUSTER = Site(Network(("2001:db8:40:7::",), pool=5, moves=True), 1)
RACK = Site(Network(("198.18.90.",)), 1)
RUNNERS = Site(Network(("198.19.100.",), pool=12, moves=True), 1)

PYTHON = "OpenAI/Python 1.99.0"
PYTHON_NEW = "OpenAI/Python 2.3.0"
NODE = "OpenAI/JS 5.12.2"
HTTPX = "python-httpx/0.28.1"
REQUESTS = "python-requests/2.32.3"


def rolls(days_before_end: int, *others: Model) -> Change:
    """Return the day on which a key that uses gpt-4o gets its newer snapshot; `others` it goes on with."""
    return Change(days_before_end, models=(GPT_4O, *others))


def pins(days_before_end: int) -> Change:
    """Return the day on which a key that asked for gpt-4.1-mini asks for a dated snapshot of it."""
    return Change(days_before_end, models=(MINI_41,))


def upgrades(days_before_end: int) -> Change:
    """Return the day on which a key's client gets its next major version."""
    return Change(days_before_end, agent=PYTHON_NEW)
