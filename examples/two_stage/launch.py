#!/usr/bin/env python3
"""Two stages on CANFAR, from Python: 50 replicas calibrate, 10 count the stars of what came out.

    launch.py 1 [--print]          launches stage 1 (again: what is left of it)
    launch.py between [--print]    merges it, and proves it complete; where /arc can be seen, as in a notebook
    launch.py 2 [--print]          launches stage 2

--print shows what would be done, and does nothing.
"""

import argparse
import subprocess

from canfar.sessions import Session
from canfar.utils.build import create_parameters

IMAGE = "images.canfar.net/myproject/stars:1.0"
PROJECT = "/arc/projects/myproject"
REPLICAS = {"1": 50, "2": 10}
COMPLETE, COMPLETE_WITH_FAILURES = 0, 1


def launch(stage, *, only_print):
    """Asks for the containers of a stage; everything with a space or a quote is in the stage's job file."""
    request = {
        "name": f"stage{stage}",
        "image": IMAGE,
        "kind": "headless",
        "cmd": "canfar-run",
        "args": f"--job-file {PROJECT}/two_stage/stage{stage}.toml",
        "replicas": REPLICAS[stage],
    }
    if only_print:
        for key, value in create_parameters(**request)[-1]:
            print(f"{key} = {value}")
        return
    started = Session().create(**request)
    print(f"{len(started)} of {REPLICAS[stage]} containers requested")


def between(*, only_print):
    """Stage 2 must see all of stage 1. Files that failed there are listed, and left out."""
    results = f"{PROJECT}/results/stage1"
    command = ["canfar-run", "merge", "--missing", f"{PROJECT}/results/uncalibrated.txt", results]
    if only_print:
        print(*command)
    elif subprocess.run(command, check=False).returncode not in (COMPLETE, COMPLETE_WITH_FAILURES):
        raise SystemExit("stage 1 is not complete: wait for it, or launch it again; it goes on where it stopped")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=["1", "between", "2"])
    parser.add_argument("--print", action="store_true", help="show what would be done, do nothing")
    arguments = parser.parse_args()
    if arguments.step == "between":
        between(only_print=arguments.print)
    else:
        launch(arguments.step, only_print=arguments.print)


if __name__ == "__main__":
    main()
