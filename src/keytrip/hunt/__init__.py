"""The hunt: records against rules and baselines in DuckDB, one pass over the files for all rules."""
