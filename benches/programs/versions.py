"""Prints which Python and which libraries take part."""

import platform
from importlib.metadata import version

print(platform.python_version(), *(f"{name} {version(name)}" for name in ("canfar", "astropy", "sep", "numpy", "jug")), sep=", ")
