"""The documented recipe: `recipe.py RESULTS_DIR OUTPUT` joins the results files of all replicas."""

import json
import sys
from glob import glob

all_results = []
for name in glob(f"{sys.argv[1]}/container_*_results.json"):
    with open(name) as f:
        all_results.extend(json.load(f))
with open(sys.argv[2], "w") as f:
    json.dump(all_results, f, indent=2)
