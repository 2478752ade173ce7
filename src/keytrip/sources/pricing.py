"""Costs and list prices that a log lacks, from genai-prices at the record's date. Needs no network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

# Our provider names -> genai-prices' provider ids; others are tried as they are, then by the model's name alone.
PROVIDERS = {"aws_bedrock": "aws", "bedrock": "aws", "azure_openai": "azure", "vertex_ai": "google", "gemini": "google"}


@dataclass(frozen=True)
class Price:
    """What a model costs on a day, in USD per token; None where genai-prices has no such unit."""

    provider: str | None
    model: str
    day: date
    input: float | None
    cached: float | None
    output: float | None

    @property
    def list_price(self) -> float | None:
        """USD per million output tokens; an embedding model's is its input price, since it has no output."""
        price = self.output if self.output is not None else self.input
        return None if price is None else round(price * 1e6, 9)


def price_of(provider: str | None, model: str, day: date) -> Price | None:
    """Return the price of `model` at `day`, or None when genai-prices does not know it.

    Tiers by prompt size are priced at their first tier: a log line seldom says which tier applied.
    """
    from genai_prices import Usage, calc_price

    when = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    for provider_id in dict.fromkeys((PROVIDERS.get(provider or "", provider), None)):
        try:
            found = calc_price(Usage(), model_ref=model, provider_id=provider_id, genai_request_timestamp=when)
        except LookupError:
            continue
        except ValueError:
            return None
        prices = found.model_price
        parts = (_per_token(getattr(prices, name, None)) for name in ("input_mtok", "cache_read_mtok", "output_mtok"))
        return Price(provider, model, day, *parts)
    return None


def _per_token(price: object) -> float | None:
    base = getattr(price, "base", price)
    return float(Decimal(str(base)) / 1_000_000) if base is not None else None


def prices_of(wanted: Iterable[tuple[str | None, str, date]]) -> Iterator[Price]:
    """Yield the known ones among (provider, model, UTC day)."""
    for provider, model, day in wanted:
        if (price := price_of(provider, model, day)) is not None:
            yield price
