"""pySigma's own pipelines, allowed for keytrip's targets too; the folder's name makes sigma-cli find them last."""

from keytrip.compile.stock import widened_pipelines

pipelines = widened_pipelines()
