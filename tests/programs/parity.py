"""`analyze(path)` looks at all that a FITS file holds, and returns the kinds of values that people's functions return.

PARITY_EXIT, PARITY_SEGFAULT and PARITY_HANG name a file each that ends, crashes or hangs the interpreter.
"""

import ctypes
import datetime
import enum
import os
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import sep
from astropy.io import fits
from astropy.wcs import WCS

warnings.simplefilter("ignore")


@dataclass
class Source:
    path: Path
    size: int
    observed: "datetime.datetime | None" = None
    night: "datetime.date | None" = None
    # Where a dataclass holds others, and they hold numpy's.
    extent: "Extent | None" = None
    notes: list = field(default_factory=list)


@dataclass(frozen=True)
class Extent:
    shape: tuple
    pixels: np.int64
    area: np.float32


def analyze(path):
    misbehave(path)
    with fits.open(path, memmap=False) as hdus:
        hdus.verify("exception")
        primary = hdus[0].header
        source = Source(Path(path), os.stat(path).st_size, *observed(primary), extent(hdus))
        source.notes.extend(str(line) for line in primary.get("HISTORY", []))
        return {
            "source": source,
            "hdus": [hdu_summary(hdu) for hdu in hdus],
            "names": tuple(hdu.name for hdu in hdus),
            "pixel_scale": pixel_scale(primary),
            "has_tables": np.bool_(any(isinstance(hdu, TABLES) for hdu in hdus)),
        }


TABLES = (fits.BinTableHDU, fits.TableHDU, fits.GroupsHDU)
IMAGES = (fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU)


def misbehave(path):
    name = os.path.basename(path)
    if name == os.environ.get("PARITY_EXIT"):
        os._exit(7)
    if name == os.environ.get("PARITY_SEGFAULT"):
        ctypes.string_at(0)
    if name == os.environ.get("PARITY_HANG"):
        time.sleep(3600)


def observed(header):
    text = header.get("DATE-OBS")
    if not isinstance(text, str) or "/" in text or not text:
        return None, None
    moment = datetime.datetime.fromisoformat(text.rstrip("Z"))
    return moment.replace(tzinfo=datetime.timezone.utc), moment.date()


def extent(hdus):
    shapes = [hdu.shape for hdu in hdus if isinstance(hdu, IMAGES) and hdu.shape]
    if not shapes:
        return None
    return Extent(shapes[0], np.prod(shapes[0], dtype=np.int64), np.float32(np.prod(shapes[0]) * 0.1))


def pixel_scale(header):
    try:
        return np.abs(np.diag(WCS(header).pixel_scale_matrix))
    except Exception as error:
        # Part of what is found; a file without coordinates is no failure.
        return f"{type(error).__name__}: {error}"


def hdu_summary(hdu):
    found = {"kind": type(hdu).__name__, "cards": {key: card(value) for key, value in hdu.header.items()}}
    data = hdu.data
    if data is None:
        return found | {"data": None}
    if isinstance(hdu, TABLES):
        return found | {"rows": np.int32(len(data)), "columns": {c: column(data.field(c)) for c in data.names}}
    return found | image(data)


def card(value):
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, complex):
        return [value.real, value.imag]
    return None if isinstance(value, fits.card.Undefined) else str(value)


def image(data):
    with np.errstate(all="ignore"):
        values = np.ma.masked_invalid(data.astype("f8"))
        found = {
            "shape": data.shape,
            "dtype": data.dtype.str,
            "sum": data.sum(),
            "mean": data.mean(dtype="f4"),
            "extremes": (data.min(), data.max()),
            "median": np.float16(np.nanmedian(data)),
            # Masked, of the file's own byte order, three-dimensional, without any element, of nothing but one.
            "line": values.reshape(-1)[:6],
            "corner": data[(slice(2),) * data.ndim],
            "none": data.reshape(-1)[:0],
            "one": np.array(data.flat[-1]),
            "all_masked": np.ma.masked_all(2),
            "not_finite": np.count_nonzero(~np.isfinite(data)),
            "logarithm": np.log10(data.reshape(-1)[:3].astype("f8")),
        }
        counts, edges = np.histogram(values.compressed(), bins=4)
    found["histogram"] = dict(zip(("low", "middle", "high", "highest"), counts)) | {"edges": edges}
    if data.squeeze().ndim == 2:
        found["stars"] = stars(np.ascontiguousarray(data.squeeze(), dtype=np.float32))
    return found


def stars(pixels):
    missing = ~np.isfinite(pixels)
    background = sep.Background(pixels, mask=missing)
    found = sep.extract(pixels - background, 5.0, err=background.globalrms, mask=missing, minarea=5)
    brightest = found[np.argsort(found["flux"])[::-1][:3]]
    return {
        "count": len(found),
        "background": background.globalback,
        "noise": np.float32(background.globalrms),
        # Rows of a structured array, and one of its columns.
        "brightest": brightest[["x", "y", "flux", "npix"]],
        "flags": brightest["flag"].astype("u1"),
    }


class Kind(enum.IntEnum):
    TEXT = 1
    LOGICAL = 2
    NUMBER = 3
    LISTS = 4


def column(values):
    if values.dtype.kind == "O":
        # Of variable length: an array of arrays.
        return {"kind": Kind.LISTS, "values": values[:3], "lengths": np.array([len(v) for v in values[:3]], "u2")}
    if values.dtype.kind in "SU":
        return {"kind": Kind.TEXT, "values": [decoded(v) for v in np.asarray(values).reshape(-1)[:4]]}
    if values.dtype.kind == "b":
        return {"kind": Kind.LOGICAL, "true": values.sum(), "values": values[:3]}
    if values.dtype.kind == "c":
        return {"kind": Kind.NUMBER, "real": values.real[:3], "imag": values.imag[:3]}
    with np.errstate(all="ignore"):
        return {
            "kind": Kind.NUMBER,
            "sum": values.sum(),
            "mean": np.nanmean(values) if values.size else np.nan,
            "values": values[:3],
            "scaled": np.ma.masked_greater(values[:3], 3),
        }


def decoded(value):
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
