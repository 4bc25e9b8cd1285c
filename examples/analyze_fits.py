#!/usr/bin/env python3
"""Counts the stars of one FITS image with astropy and sep, and prints them as one JSON object.

    canfar-run --input '/data/*.fits' -- python3 analyze_fits.py {}

Needs: pip install astropy sep (Debian: python3-astropy python3-sep).
"""

import json
import sys

import numpy as np
import sep
from astropy.io import fits

IMAGES = (fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU)


def first_image(path):
    """The first two-dimensional image of a file; axes of length 1, as radio images have, don't count."""
    with fits.open(path, memmap=False) as hdus:
        for hdu in hdus:
            if isinstance(hdu, IMAGES) and hdu.data is not None and hdu.data.squeeze().ndim == 2:
                # FITS is big-endian; sep wants the machine's own order.
                return np.ascontiguousarray(hdu.data.squeeze(), dtype=np.float32)
    raise ValueError("no two-dimensional image in it")


def analyze(path):
    """What is found in one file, as plain values for JSON."""
    image = first_image(path)
    missing = ~np.isfinite(image)
    background = sep.Background(image, mask=missing)
    # No smoothing: it would turn single hot pixels into stars.
    stars = sep.extract(
        image - background, 5.0, err=background.globalrms, mask=missing, minarea=5, filter_kernel=None
    )
    height, width = image.shape
    return {
        "stars_detected": len(stars),
        "background": round(float(background.globalback), 2),
        "noise": round(float(background.globalrms), 2),
        "width": width,
        "height": height,
    }


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: analyze_fits.py FILE")
    try:
        found = analyze(sys.argv[1])
    # Broken files make astropy raise nearly anything; the reason in one line is what a log needs.
    except Exception as error:
        sys.exit(f"analyze_fits: {sys.argv[1]}: {type(error).__name__}: {error}")
    print(json.dumps(found))
