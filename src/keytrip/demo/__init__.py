"""A month of one company's gateway logs, made at run time, with four thefts in it: what `keytrip demo` works on."""
