"""How answers are scored: pure functions over arrays, one concept a file. `table.METRICS` lists what there is."""
