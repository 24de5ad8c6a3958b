"""The report of `boxlist report`: runs as figures, and their answers drawn on the pictures, in one file.

`answered` opens what a run said, `fates` says what became of each record, `curves` counts that over all images,
`sweeps` finds runs that differ by one thing, `figures` and the `of_` modules draw, `plates` and `panels` lay out the
pictures, `document` writes the page.
"""
