"""Which models a key uses. For reference_unknown_model and key_model_tier_jump."""

from keytrip.baselines import KnownSet

JOB = KnownSet(key=("key_id", "model"))
