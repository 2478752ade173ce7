"""Prices by genai-prices."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace

import pytest

from keytrip.sources.pricing import Price, price_of, prices_of

_DAY = date(2026, 4, 1)


@pytest.mark.parametrize(
    ("provider", "model", "day", "expected"),
    [
        ("openai", "gpt-4o", _DAY, 10.0),
        ("azure_openai", "gpt-4o", _DAY, 10.0),
        ("anthropic", "claude-opus-4-5", _DAY, 25.0),
        ("google", "gemini-2.5-pro", _DAY, 10.0),
        ("aws_bedrock", "anthropic.claude-3-5-sonnet-20241022-v2:0", _DAY, 15.0),
        (None, "gpt-4o", _DAY, 10.0),
        ("a gateway of our own", "gpt-4o", _DAY, 10.0),
        ("openai", "text-embedding-3-small", _DAY, 0.02),
        ("openai", "o3", date(2025, 6, 1), 40.0),
        ("openai", "o3", date(2025, 6, 20), 8.0),
        ("openai", "nobody-knows-this", _DAY, None),
        ("openai", "", _DAY, None),
        (None, "\x1b[2J", _DAY, None),
    ],
)
def test_list_prices(provider: str | None, model: str, day: date, expected: float | None) -> None:
    """USD per million output tokens at the day; an embedding has its input's price, an unknown model none."""
    price = price_of(provider, model, day)

    assert (price.list_price if price else None) == expected


def test_prices_are_per_token() -> None:
    """Input, cached input and output each have a price of their own."""
    price = price_of("openai", "gpt-4o", _DAY)

    assert price == Price("openai", "gpt-4o", _DAY, pytest.approx(2.5e-6), pytest.approx(1.25e-6), pytest.approx(1e-5))


def test_only_known_models_are_given() -> None:
    """What has no price is left out."""
    wanted = [("openai", "gpt-4o", _DAY), ("openai", "nobody-knows-this", _DAY)]

    assert [price.model for price in prices_of(wanted)] == ["gpt-4o"]


def test_a_price_without_a_unit_has_no_list_price() -> None:
    """A model that is billed in other units has no price per token."""
    assert Price(None, "m", _DAY, None, None, None).list_price is None


@pytest.mark.parametrize(("error", "expected"), [(ValueError("no such unit"), None), (LookupError("unknown"), None)])
def test_what_genai_prices_refuses_has_no_price(
    monkeypatch: pytest.MonkeyPatch, error: Exception, expected: None
) -> None:
    """A refusal is no price, and no failure."""

    def refuse(*_: object, **__: object) -> SimpleNamespace:
        raise error

    monkeypatch.setattr("genai_prices.calc_price", refuse)

    assert price_of("openai", "gpt-4o", _DAY) is expected
