#!/usr/bin/env python3
"""Two stages on CANFAR, from Python: 50 replicas calibrate, 10 count the stars of what came out.

    launch.py 1 [--print]    launches stage 1 (again: what is left of it)
    launch.py 2 [--print]    launches stage 2, when stage 1 is complete

--print shows what would be done, and does nothing.
"""

import argparse

from canfar.sessions import Session
from canfar.utils.build import create_parameters

IMAGE = "images.canfar.net/myproject/stars:1.0"
PROJECT = "/arc/projects/myproject"
REPLICAS = {"1": 50, "2": 10}


def launch(stage, *, only_print):
    """Asks for the containers of a stage; what it does is in the stage's job file."""
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stage", choices=sorted(REPLICAS))
    parser.add_argument("--print", action="store_true", help="show what would be done, do nothing")
    arguments = parser.parse_args()
    launch(arguments.stage, only_print=arguments.print)


if __name__ == "__main__":
    main()
