"""Destinations that share indicators: a STIX bundle, a TAXII collection, a MISP event. None has tables."""
