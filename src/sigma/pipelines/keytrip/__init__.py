"""Shows keytrip's pipelines to sigma-cli (`sigma list pipelines`)."""

from sigma.processing.pipeline import ProcessingPipeline


def keytrip_canonical() -> ProcessingPipeline:
    """The layout that keytrip itself ships: one name for every keytrip backend."""
    from keytrip.compile.pipelines import canonical_pipeline

    return canonical_pipeline()


pipelines = {"keytrip_canonical": keytrip_canonical}
