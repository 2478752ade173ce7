"""Cost per key and day, in USD. For reference_cost_spike and key_cost_robust."""

from keytrip.baselines import DailyStatistic

JOB = DailyStatistic(key=("key_id",), measure="sum(cost_usd)")
