"""Hours of the day (UTC) with more than 1 % of a key's records. For reference_off_hours_usage."""

from keytrip.baselines import HourProfile

JOB = HourProfile(key=("key_id",), hour="hour_of_day", above=0.01)
