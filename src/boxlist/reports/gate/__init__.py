"""The gate: a committed file of what a run may not lose against a baseline, and the verdict on a run."""
