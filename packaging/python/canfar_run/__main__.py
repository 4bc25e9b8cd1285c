"""`python -m canfar_run ARGS` is `canfar-run ARGS` with the program of this package, whatever is on the PATH."""

import os
import signal
import sys
import sysconfig
from importlib.metadata import distributions
from pathlib import Path

NAME = "canfar-run"


def candidates():
    """Where pip may have put the program, the most certain place first."""
    packages = Path(__file__).resolve().parent.parent
    for distribution in distributions(name=NAME, path=[str(packages)]):
        for file in distribution.files or ():
            if file.name == NAME and file.parent.name == "bin":
                yield Path(distribution.locate_file(file)).resolve()
    # `pip install --target` notes another place than where it puts the program.
    yield packages / "bin" / NAME
    # Whoever packages it anew may keep no notes.
    yield Path(sysconfig.get_path("scripts"), NAME)


def main():
    looked_at = list(candidates())
    program = next((path for path in looked_at if os.access(path, os.X_OK)), None)
    if program is None:
        tried = " nor ".join(str(path) for path in dict.fromkeys(looked_at))
        again = f"{sys.executable} -m pip install --force-reinstall {NAME}"
        sys.exit(f"canfar_run: error: there is no program at {tried}. Install it again: {again}")
    # Python ignores these, and what it becomes would go on doing so.
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)
    try:
        # In place of this process, so that signals and the exit code are the program's.
        os.execv(program, [str(program), *sys.argv[1:]])
    except OSError as error:
        sys.exit(f"canfar_run: error: can't start {program}: {error.strerror}")


if __name__ == "__main__":
    main()
