"""The documented loop: `loop.py 'PATTERN' RESULTS` analyses its share of the files in one process, and writes at the end."""

import json
import os
import sys
from glob import glob
from pathlib import Path

from canfar.helpers import distributed

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
from analyze_fits import analyze

replica_id = int(os.environ.get("REPLICA_ID", "1"))
replica_count = int(os.environ.get("REPLICA_COUNT", "1"))
results = []
for datafile in distributed.chunk(glob(sys.argv[1]), replica_id, replica_count):
    results.append({"file": os.path.basename(datafile), **analyze(datafile)})
with open(sys.argv[2], "w") as f:
    json.dump(results, f, indent=2)
