"""pySigma's own pipelines, allowed for keytrip's targets too; the folder's name makes sigma-cli find them last."""

from keytrip.compile.stock import widened_pipelines

# sigma-cli takes every function that it sees for a pipeline, but for those that this leaves out
__all__: list[str] = []
pipelines = widened_pipelines()
