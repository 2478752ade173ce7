"""Canonical records: one vocabulary, from which types, schemas, checks and documentation derive."""
