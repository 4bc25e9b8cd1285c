"""`same_records.py A B [KEY...]` fails unless two JSON arrays have the same records, in any order; with keys, only these count."""

import json
import sys


def records(name):
    with open(name) as f:
        # jq writes 1.0 as 1.
        loaded = json.load(f, parse_int=float)
    keys = sys.argv[3:]
    if keys:
        loaded = [{key: record[key] for key in keys} for record in loaded]
    return sorted(json.dumps(record, sort_keys=True) for record in loaded)


ours, theirs = records(sys.argv[1]), records(sys.argv[2])
if not ours or ours != theirs:
    sys.exit(f"{sys.argv[1]} has {len(ours)} records, {sys.argv[2]} {len(theirs)}, and they differ")
