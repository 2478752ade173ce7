"""Input and output tokens per key and day. For key_token_volume_robust."""

from keytrip.baselines import DailyStatistic

JOB = DailyStatistic(key=("key_id",), measure="sum(total_tokens)")
