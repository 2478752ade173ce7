"""Exporters: what is written or pushed where. Content is in `exporters/`, the transports are here."""
