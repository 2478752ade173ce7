"""Tables, records and the lock in indices: what Elasticsearch and OpenSearch have in common."""
