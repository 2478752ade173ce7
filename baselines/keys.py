"""Which keys are known, since when, and how busy they are. For key_never_seen, and as `requires` of set rules."""

from keytrip.baselines import KnownSet

JOB = KnownSet(key=("key_id",), undated=True)
