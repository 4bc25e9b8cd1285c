#!/usr/bin/env python3
"""Stage 1: subtracts the background of one FITS image and writes the calibrated image.

    calibrate.py RAW CALIBRATED

It writes where it is told to. canfar-run gives the file its final name once it is whole (--product).
"""

import json
import sys

import numpy as np
from astropy.io import fits


def calibrate(raw, calibrated):
    with fits.open(raw, memmap=False) as hdus:
        image = hdus[0].data.astype(np.float32)
        header = hdus[0].header
    background = float(np.median(image))
    header["SKYLEVEL"] = (background, "background that was subtracted")
    fits.PrimaryHDU(image - background, header).writeto(calibrated, overwrite=True)
    return {"background": round(background, 2)}


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: calibrate.py RAW CALIBRATED")
    try:
        done = calibrate(sys.argv[1], sys.argv[2])
    # Broken files make astropy raise nearly anything; the reason in one line is what a log needs.
    except Exception as error:
        sys.exit(f"calibrate: {sys.argv[1]}: {type(error).__name__}: {error}")
    print(json.dumps(done))
