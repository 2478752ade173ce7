"""Shows keytrip's backends to sigma-cli (`sigma list targets`)."""

from keytrip.compile.duckdb import DuckDBBackend
from keytrip.compile.eql import EqlBackend
from keytrip.compile.esql import EsqlBackend
from keytrip.compile.lucene import LuceneBackend
from keytrip.compile.opensearch import OpensearchBackend
from keytrip.compile.spark import SparkBackend
from keytrip.compile.splunk import SplunkBackend

backends = {
    "keytrip_duckdb": DuckDBBackend,
    "keytrip_eql": EqlBackend,
    "keytrip_esql": EsqlBackend,
    "keytrip_lucene": LuceneBackend,
    "keytrip_opensearch": OpensearchBackend,
    "keytrip_spark": SparkBackend,
    "keytrip_splunk": SplunkBackend,
}
