"""The day's dearest model per key, in USD per million output tokens. For key_model_tier_jump."""

from keytrip.baselines import DailyStatistic

JOB = DailyStatistic(key=("key_id",), measure="max(list_price)")
