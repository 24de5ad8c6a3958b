"""The commands, a file each: arguments in, one function called, what it found out. No work is done here.

Nothing heavy is imported before a command needs it. `boxlist.cli` holds the table of them.
"""
