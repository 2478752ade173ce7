"""Rule files: loading, layering of packs, parameters, and the expressions of the baseline block."""
