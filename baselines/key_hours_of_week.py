"""Hours of the week (Monday 00:00 UTC is 0) that a key is ever active in. For key_hour_of_week_deviation."""

from keytrip.baselines import HourProfile

JOB = HourProfile(key=("key_id",), hour="hour_of_week")
