"""Shows keytrip's backends to sigma-cli (`sigma list targets`)."""

from keytrip.compile.duckdb import DuckDBBackend

backends = {"keytrip_duckdb": DuckDBBackend}
