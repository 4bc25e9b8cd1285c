"""A warm worker: imports once, then analyses one file for each line it is given."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
from analyze_fits import analyze

for line in sys.stdin:
    print(json.dumps(analyze(json.loads(line)["path"])), flush=True)
