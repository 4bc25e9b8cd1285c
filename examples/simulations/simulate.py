"""Estimates pi with random points: one simulation for each row of params.csv, in which `seed` makes it repeatable.

    canfar-run --table examples/simulations/params.csv -o results --call examples/simulations/simulate.py:run
    canfar-run merge results -o pi.csv

The same as a program, which writes its points for --product:

    canfar-run --table examples/simulations/params.csv -o results2 --product 'points/{name}.json' \
        -- python3 examples/simulations/simulate.py {seed} {points} {scale} {out}
"""

import json
import random
import sys


def run(seed, points, scale):
    inside = sum(x * x + y * y <= scale * scale for x, y in drawn(seed, points, scale))
    return {"inside": inside, "pi": 4 * inside / points}


def drawn(seed, points, scale):
    numbers = random.Random(seed)
    return [(scale * numbers.random(), scale * numbers.random()) for _ in range(points)]


if __name__ == "__main__":
    seed, points, scale = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    print(json.dumps(run(seed, points, scale)))
    if len(sys.argv) > 4:
        with open(sys.argv[4], "w") as out:
            json.dump(drawn(seed, points, scale), out)
