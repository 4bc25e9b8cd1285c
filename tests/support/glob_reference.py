"""Python's own answers, for tests/glob_parity.rs: one JSON request a line on stdin, one answer a line on stdout.

{"fnmatch": [[name, pattern], ...]}                     -> [true, ...]
{"glob": pattern, "cwd": directory, "type": "file"|"dir"} -> {"paths": [...], ...}

Names, patterns and paths are base64, for they are bytes. With an argument, all is asked as that user.

What `glob.glob` says is kept to the wanted type, made absolute and counted once. Where the contract differs from it
(links that lead back, plain directories, names with brackets) the difference is made here, on top of Python's glob:
"paths" must be found exactly. For patterns with at most one `**` and if asked for with "pure", two more lists come from
the unchanged glob: all that was found must be in "all", and all of "straight" (no link that leads back on the way) must
be found.
"""

import base64
import fnmatch
import glob
import json
import os
import sys
import warnings

warnings.simplefilter("ignore")  # of the regular expressions behind odd sets
unchanged_rlistdir = glob._rlistdir


def ancestors(directory):
    """The (dev, ino) of a directory and those above it as its path is walked; up to the last `..` it is resolved."""
    parts = [part for part in os.path.join(os.getcwd(), directory).split("/") if part not in ("", ".")]
    known = len(parts) - parts[::-1].index("..") if ".." in parts else 0
    path = os.path.realpath("/" + "/".join(parts[:known]))
    walked = []
    above = path
    while True:
        walked.append(above)
        if above == "/":
            break
        above = os.path.dirname(above)
    for part in parts[known:]:
        path = os.path.join(path, part)
        walked.append(path)
    identities = set()
    for path in walked:
        try:
            status = os.stat(path)
        except OSError:
            continue
        identities.add((status.st_dev, status.st_ino))
    return identities


def leads_back(path):
    if not (os.path.islink(path) and os.path.isdir(path)):
        return False
    status = os.stat(path)
    return (status.st_dev, status.st_ino) in ancestors(os.path.dirname(path))


def rlistdir(dirname, dir_fd, dironly, include_hidden=False):
    """`**` as Python does it, but without entering links that lead back."""
    for name in glob._listdir(dirname, dir_fd, dironly):
        if glob._ishidden(name):
            continue
        path = os.path.join(dirname, name)
        if leads_back(path):
            if not dironly:
                yield name
            continue
        yield name
        for below in rlistdir(path, dir_fd, dironly, include_hidden):
            yield os.path.join(name, below)


def found_by(pattern, is_wanted):
    stripped = pattern.rstrip("/")
    if stripped != pattern and os.path.basename(stripped) == "**":
        # `**/` is what `**` is, kept to directories: said so, a link that leads back is still an entry.
        return [path for path in glob.glob(stripped, recursive=True) if is_wanted(path) and os.path.isdir(path)]
    return [path for path in glob.glob(pattern, recursive=True) if is_wanted(path)]


def clean(path):
    parts = os.path.join(os.getcwd(), path).split("/")
    return "/" + "/".join(part for part in parts if part not in ("", "."))


def is_itself(pattern):
    return all(fnmatch.fnmatchcase(part, part) for part in pattern.split("/"))


def answer_to(pattern, is_wanted, of_files):
    as_it_stands = not glob.has_magic(pattern) or (os.path.lexists(pattern) and not is_itself(pattern))
    if as_it_stands:
        pattern_of_path = glob.escape(pattern)
        if of_files and os.path.isdir(pattern):
            pattern_of_path += "/**"
        return found_by(pattern_of_path, is_wanted)
    return found_by(pattern, is_wanted)


def goes_straight(path):
    parts = path.rstrip("/").split("/")
    return not any(leads_back("/".join(parts[:end])) for end in range(1, len(parts)) if parts[end - 1])


def asked_for_paths(request):
    os.chdir(decoded(request["cwd"]))
    pattern = decoded(request["glob"])
    of_files = request["type"] == "file"
    is_wanted = os.path.isfile if of_files else os.path.isdir
    glob._rlistdir = rlistdir
    answer = {"paths": encoded(answer_to(pattern, is_wanted, of_files))}
    if request.get("pure"):
        glob._rlistdir = unchanged_rlistdir
        everything = answer_to(pattern, is_wanted, of_files)
        answer["all"] = encoded(everything)
        answer["straight"] = encoded(path for path in everything if goes_straight(path))
    return answer


def decoded(text):
    return base64.b64decode(text).decode("utf-8", "surrogateescape")


def encoded(paths):
    absolute = {clean(path).encode("utf-8", "surrogateescape") for path in paths}
    return sorted(base64.b64encode(path).decode() for path in absolute)


def main():
    if len(sys.argv) > 1:
        user = int(sys.argv[1])
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    for line in sys.stdin:
        request = json.loads(line)
        if "fnmatch" in request:
            answer = [fnmatch.fnmatchcase(decoded(name), decoded(pattern)) for name, pattern in request["fnmatch"]]
        else:
            answer = asked_for_paths(request)
        print(json.dumps(answer))


main()
