#!/usr/bin/env python3
"""Counts the stars of one FITS image after the other: astropy and sep are imported once, not once for each file.

    canfar-run --worker --input '/data/*.fits' -- python3 examples/worker/worker.py

Needs: pip install astropy sep (Debian: python3-astropy python3-sep).
"""

import json
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))
from analyze_fits import analyze

for line in sys.stdin:
    task = json.loads(line)
    try:
        answer = analyze(task["path"])
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
