"""Which addresses a key is used from. For reference_unknown_source_ip."""

from keytrip.baselines import KnownSet

JOB = KnownSet(key=("key_id", "source_ip"))
