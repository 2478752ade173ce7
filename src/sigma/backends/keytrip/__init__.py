"""Shows keytrip's backends to sigma-cli (`sigma list targets`)."""

from keytrip.compile.duckdb import DuckDBBackend
from keytrip.compile.esql import EsqlBackend
from keytrip.compile.spark import SparkBackend
from keytrip.compile.splunk import SplunkBackend

backends = {
    "keytrip_duckdb": DuckDBBackend,
    "keytrip_esql": EsqlBackend,
    "keytrip_spark": SparkBackend,
    "keytrip_splunk": SplunkBackend,
}
