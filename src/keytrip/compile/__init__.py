"""Turns rules into queries: one pySigma backend a target, over one plan of what a rule means."""
