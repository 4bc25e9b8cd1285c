"""What `nap` does for each file of the folder NAPS, as tasks of jug: `jug execute nap_jug.py`."""

import os
import time

from jug import TaskGenerator


@TaskGenerator
def nap(path):
    time.sleep(os.path.getsize(path) / 1000 * float(os.environ.get("NAP_FACTOR", "1")))
    return os.path.basename(path)


folder = os.environ["NAPS"]
for name in sorted(os.listdir(folder)):
    nap(os.path.join(folder, name))
