"""Python's side of tests/merge/recipe.rs. The argument says what is done in the current folder.

combine   the documented loop, as users have it in their notebooks, into combined.json
write     results files as the documented script writes them, with everything odd that Python's json lets through
compare   final_results.json against the files of `write`: every digit, key and order; what is not finite is null
same      final_results.json against combined.json, in any order
"""

import glob
import json
import sys


def combine_results():
    all_results = []
    for f in sorted(glob.glob("container_*_results.json")):
        with open(f) as results:
            all_results.extend(json.load(results))
    with open("combined.json", "w") as combined:
        json.dump(all_results, combined, indent=2)


# In the order in which they are to be merged.
WRITTEN = ["1", "2", "9", "10", "None"]

ODD = [
    {"file": "a.fits", "big": 12345678901234567890, "negative": -98765432109876543210},
    {"file": "b.fits", "tenth": 0.1, "third": 1 / 3, "tiny": 5e-324, "huge": 1.7976931348623157e308, "zero": -0.0},
    {"file": "c.fits", "n": float("nan"), "list": [float("inf"), {"deep": float("-inf")}], "text": "NaN, -Infinity"},
    {"file": "d.fits", "text": "\ud800 \udc00\ud800 \U0001f600 \u2028 \0 \x7f", "name": "étoile"},
    {"file": "e.fits", "empty": {}, "none": None, "flags": [], "true": True, "": ""},
    "no object",
    12.50,
    None,
    [1, [2, []]],
]

# What Python reads but would not write.
BY_HAND = r"""
[ {"file": "x.fits", "n": 1, "n": 2, "\u006e": 3, "e": 1e400, "plus": 1E+05, "long": 0.1000000000000000055511151231257827},
\t{ "file" : "\ud83d\ude00 \/ \u00e9" , "big" : 100000000000000000000000000000000000000000000000000000000001,
    "minus": -0, "fraction": -0.0e-0 }
 ,-Infinity ]
""".replace("\\t", "\t")


def write():
    for number, replica in enumerate(WRITTEN):
        results = [{"file": f"{replica}.fits", "replica": replica}, *ODD] if replica != "2" else []
        with open(f"container_{replica}_results.json", "w", encoding="utf-8") as f:
            if replica == "9":
                f.write(BY_HAND)
            elif replica == "10":
                # But for the one with lone surrogates, which UTF-8 does not have.
                json.dump(results[:4] + results[5:], f, ensure_ascii=False, indent="\t")
            else:
                json.dump(results, f, indent=2 if number else None)


def exact(path):
    """The elements of a file with all digits, the kind of each value, repeated keys; and what is not finite."""
    constants = []
    with open(path, encoding="utf-8") as f:
        value = json.load(
            f,
            parse_int=lambda text: ("number", text),
            parse_float=lambda text: ("number", text),
            parse_constant=constants.append,
            object_pairs_hook=lambda pairs: ("object", pairs),
        )
    return value, len(constants)


def compare():
    merged, left = exact("final_results.json")
    parts = [exact(f"container_{replica}_results.json") for replica in WRITTEN]
    expected = [element for elements, _ in parts for element in elements]
    for position, (one, other) in enumerate(zip(merged, expected)):
        assert one == other, f"element {position} is\n{one!a}, not\n{other!a}"
    assert len(merged) == len(expected), (len(merged), len(expected))
    assert left == 0, f"{left} are not finite"
    with open("final_summary.json") as f:
        summary = json.load(f)
    assert summary["non_finite"] == sum(count for _, count in parts) > 0, summary
    assert summary["foreign"] == len(expected), summary


def same():
    def lines(path):
        with open(path) as f:
            return sorted(json.dumps(record, sort_keys=True) for record in json.load(f))

    assert lines("final_results.json") == lines("combined.json")


{"combine": combine_results, "write": write, "compare": compare, "same": same}[sys.argv[1]]()
