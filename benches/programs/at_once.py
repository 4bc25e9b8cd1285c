"""A function that returns at once, and ways to call it for each line of a list:

    at_once.py loop LIST RESULTS      one after the other, all results written at the end
    at_once.py pool LIST RESULTS      two processes of multiprocessing, the same
    at_once.py worker                 as a warm worker
    at_once.py one PATH               in a process of its own, which prints the result
"""

import json
import multiprocessing
import os
import sys


def analyze(path):
    return {"stars_detected": 42, "background": 512.25, "noise": 4.75}


def record(path):
    return {"file": os.path.basename(path), **analyze(path)}


def write(records, results):
    with open(results, "w") as f:
        json.dump(list(records), f)


def main(way, *names):
    if way == "worker":
        for line in sys.stdin:
            print(json.dumps(analyze(json.loads(line)["path"])), flush=True)
        return
    if way == "one":
        print(json.dumps(analyze(names[0])))
        return
    with open(names[0]) as f:
        paths = f.read().splitlines()
    if way == "loop":
        write(map(record, paths), names[1])
    else:
        with multiprocessing.Pool(2) as pool:
            write(pool.imap(record, paths), names[1])


if __name__ == "__main__":
    main(*sys.argv[1:])
