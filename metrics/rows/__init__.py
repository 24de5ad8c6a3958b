"""The metrics of each kind of probe: `ROWS` define them, `..._METRICS` name those that a probe reports, in order."""
