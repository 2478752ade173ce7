"""Cost of all keys per provider and day, in USD. For org_cost_spike."""

from keytrip.baselines import DailyStatistic

JOB = DailyStatistic(key=("provider",), measure="sum(cost_usd)")
