#!/usr/bin/env python3
"""Stage 1: subtracts the background of one FITS image and writes the calibrated image.

    calibrate.py RAW CALIBRATED
"""

import json
import os
import sys

import numpy as np
from astropy.io import fits


def calibrate(raw, calibrated):
    """Writes the calibrated image under its name only when it is whole, so that stage 2 never meets half a file."""
    with fits.open(raw, memmap=False) as hdus:
        image = hdus[0].data.astype(np.float32)
        header = hdus[0].header
    background = float(np.median(image))
    header["SKYLEVEL"] = (background, "background that was subtracted")
    os.makedirs(os.path.dirname(calibrated) or ".", exist_ok=True)
    unfinished = calibrated + ".part"
    fits.PrimaryHDU(image - background, header).writeto(unfinished, overwrite=True)
    os.replace(unfinished, calibrated)
    return {"calibrated": calibrated, "background": round(background, 2)}


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: calibrate.py RAW CALIBRATED")
    try:
        done = calibrate(sys.argv[1], sys.argv[2])
    # Broken files make astropy raise nearly anything; the reason in one line is what a log needs.
    except Exception as error:
        sys.exit(f"calibrate: {sys.argv[1]}: {type(error).__name__}: {error}")
    print(json.dumps(done))
