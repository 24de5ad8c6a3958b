"""Studies: a table of runs from one YAML file; what is missing is trained and run, what is there is used again.

`study_file` reads the YAML, `grid` makes rows of it for one model, `pool` knows where runs and adapters lie,
`agreement` compares live repeat-stop with its replay, `paper` holds the paper's figures, `study` does the work.
"""
