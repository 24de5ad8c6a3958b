"""Other people's formats: what a run answered, in the files that other tools read.

`source` reads a run folder, or a log of lmms-eval's; a format is one file and one row of `formats.FORMATS`.
"""
