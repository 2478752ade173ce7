"""keytrip notices a stolen AI API key: rules, baselines, SIEM queries and the hunt itself."""

__version__ = "0.1.0"
