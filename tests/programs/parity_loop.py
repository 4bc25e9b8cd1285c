"""What people had before: one process calls `analyze` for one FITS file after the other, those that astropy's package
carries and a few damaged ones, and prints a line for each: its path with what was returned or raised. Knows nothing of
how canfar-run does it.

    parity_loop.py LIST DAMAGED     writes the list of all files, and damaged ones into a folder
"""

import dataclasses
import datetime
import json
import pathlib
import sys

import astropy
import numpy as np
from parity import analyze


def damaged(folder, whole):
    """A file that was cut, in its data and in its header, one without content, and one that is text."""
    folder.mkdir()
    for name, content in [("cut", whole[:100_000]), ("cut-header", whole[:2000]), ("empty", b""), ("text", b"no\n")]:
        (folder / f"{name}.fits").write_bytes(content)
    return folder.iterdir()


def plain(value):
    if dataclasses.is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, np.ndarray) and value.dtype.names:
        return [dict(zip(value.dtype.names, row)) for row in value.tolist()]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, pathlib.Path):
        return str(value)
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    raise TypeError(f"{type(value)} in a result")


package = pathlib.Path(astropy.__file__).parent
files = [path for path in package.rglob("*") if path.is_file() and ".fit" in path.name.lower()]
[image] = package.rglob("m13.fits")
files = sorted([*files, *damaged(pathlib.Path(sys.argv[2]).resolve(), image.read_bytes())])
pathlib.Path(sys.argv[1]).write_text("".join(f"{path}\n" for path in files))
for path in map(str, files):
    try:
        outcome = {"result": analyze(path)}
    except Exception as error:
        # In one line, as a reason is: astropy's begin with an empty one.
        outcome = {"raised": " ".join(f"{type(error).__name__}: {error}".split())}
    # JSON has no NaN: it is null.
    line = json.loads(json.dumps({"path": path} | outcome, default=plain), parse_constant=lambda _: None)
    print(json.dumps(line))
