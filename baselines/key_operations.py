"""Which operations (chat, embeddings, files, ...) a key calls. For rules on new capabilities."""

from keytrip.baselines import KnownSet

JOB = KnownSet(key=("key_id", "operation"))
