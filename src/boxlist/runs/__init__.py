"""Runs: one model under one set of controls on one set of tasks, in one folder that survives being killed.

`folder` knows the files; `inputs` what an answer depends on; `engine` asks the model; `scoring` turns answers into
`scores.json`; `replay` makes a row from the answers of another.
"""
