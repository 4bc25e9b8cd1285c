"""canfar-run as a Python package: it carries the program, and `python -m canfar_run` runs it."""
