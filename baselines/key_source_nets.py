"""Which networks (/24, /48) a key is used from. For key_new_network."""

from keytrip.baselines import KnownSet

JOB = KnownSet(key=("key_id", "source_net"))
