"""Requests per key and day: how many are usual, and how much that varies. For the rules on volume."""

from keytrip.baselines import DailyStatistic

JOB = DailyStatistic(key=("key_id",), measure="sum(request_count)")
