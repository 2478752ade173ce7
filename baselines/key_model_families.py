"""Which model families a key uses: a new dated snapshot of a known family is not news. For key_unknown_model."""

from keytrip.baselines import KnownSet

JOB = KnownSet(key=("key_id", "model_family"))
