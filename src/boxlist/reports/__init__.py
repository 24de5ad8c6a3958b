"""Reports: what a person reads. Pure functions from scores to text; nothing here runs a model."""
