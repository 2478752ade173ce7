"""Requests per key and day: how many are usual, and how much that varies. For reference_volume_spike, key_request_volume_robust."""

from keytrip.baselines import DailyStatistic

JOB = DailyStatistic(key=("key_id",), measure="sum(request_count)")
