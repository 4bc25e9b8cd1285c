#!/usr/bin/env python3
"""1000 FITS files on 100 containers of CANFAR, from Python (pip install canfar; canfar login).

    launch.py [--fixed] [--print]

Flexible, the default: each container starts with 1 core and may use up to 8 cores and 32 GB. --fixed: each has the
4 cores and 16 GB it asks for, from start to end. --print shows what would be sent, and sends nothing.

Starting it again goes on where an earlier launch stopped; nothing is run twice.
"""

import argparse
import re
from urllib.parse import urlencode

from canfar.sessions import Session
from canfar.utils.build import create_parameters

RESULTS = "/arc/projects/myproject/results/stars"
WORDS = [
    "canfar-run",
    "--input", "/arc/projects/myproject/data/*.fits",
    "--results-dir", RESULTS,
    "--", "python3", "/opt/analysis/analyze_fits.py", "{}",
]
# Longer requests are refused: a launch travels in a URL.
LONGEST_URL = 8000


def request(words, *, fixed):
    """The arguments of Session.create(): the platform wants the program apart, and the rest as one string."""
    for word in words:
        # Joined with spaces here and split again there; what needs a space or a quote belongs into a job file.
        if re.search(r'[\s$"\\]', word) or not word:
            raise SystemExit(f"this word would not arrive as it is: {word!r}; use a job file (../job.toml)")
    size = {"cores": 4, "ram": 16} if fixed else {}
    return {
        "name": "stars",
        "image": "images.canfar.net/myproject/stars:1.0",
        "kind": "headless",
        "cmd": words[0],
        "args": " ".join(words[1:]),
        "replicas": 100,
        **size,
    }


def show(launch):
    """Prints the request for the last replica; the others differ in the number."""
    payload = create_parameters(**launch)[-1]
    for key, value in payload:
        print(f"{key} = {value}")
    length = len(urlencode(payload))
    print(f"({launch['replicas']} requests like this one, {length} bytes of URL each)")
    if length > LONGEST_URL:
        raise SystemExit(f"too long: at most about {LONGEST_URL} bytes arrive; use a job file (../job.toml)")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fixed", action="store_true", help="4 cores and 16 GB for each, instead of 1 to 8 cores")
    parser.add_argument("--print", action="store_true", help="show what would be sent, send nothing")
    arguments = parser.parse_args()
    launch = request(WORDS, fixed=arguments.fixed)
    if arguments.print:
        show(launch)
        return
    started = Session().create(**launch)
    print(f"{len(started)} of {launch['replicas']} containers requested")
    if len(started) < launch["replicas"]:
        # The others keep their shares, so the share of a container that never started has no owner.
        print("The rest was refused. `canfar-run merge` says which; start this again, finished files are not run twice.", RESULTS)


if __name__ == "__main__":
    main()
