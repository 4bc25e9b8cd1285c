"""`glob_files.py PATTERN` prints the files, sorted."""

import glob
import sys

sys.stdout.writelines(path + "\n" for path in sorted(glob.glob(sys.argv[1], recursive=True)))
