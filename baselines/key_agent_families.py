"""Which clients a key is used with. For rules on new user agents."""

from keytrip.baselines import KnownSet

JOB = KnownSet(key=("key_id", "agent_family"))
