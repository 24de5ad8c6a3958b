"""boxlist: evaluate, control and train vision-language models that answer with lists of boxes."""

__version__ = "0.1.0"
