"""What Python's json.loads says about documents, compared with what canfar-run's json module says.

Standard input: a line of JSON per document, bytes in base64:
  {"document": ..., "accepted": false}
  {"document": ..., "accepted": true, "normal": ..., "non_finite": 3, "rebuilt": ..., "texts": [...]}
`rebuilt` is the document put together again from its members or elements, `texts` what its keys, or the string that it
is, stand for.

Standard output: a line of JSON per disagreement, at the end {"documents": ..., "accepted": ...}.
"""

import base64
import json
import re
import sys
import threading

# In a valid document: strings, what is not finite, whitespace. All other bytes stand for themselves.
PARTS = re.compile(rb'("(?:[^"\\]|\\.)*")|(-?Infinity|NaN)|([ \t\n\r]+)')
LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class NotFinite(Exception):
    pass


def parse(document, constant):
    """The value with every digit, every repeated key and the kind of each value kept."""
    return json.loads(
        document.decode("utf-8"),
        parse_int=lambda text: ("number", text),
        parse_float=lambda text: ("number", text),
        parse_constant=constant,
        object_pairs_hook=lambda pairs: ("object", pairs),
    )


def refuse(name):
    raise NotFinite(name)


def normal_form(document):
    """The bytes that a valid document has to become."""
    document = document.strip(b" \t\n\r")
    several_lines = any(blank and re.search(rb"[\n\r]", blank) for _, _, blank in PARTS.findall(document))

    def part(match):
        string, constant, blank = match.groups()
        return string or (constant and b"null") or (b"" if several_lines else blank)

    return PARTS.sub(part, document)


def texts(value):
    """What the keys of an object, or a string, stand for."""
    strings = []
    if isinstance(value, str):
        strings = [value]
    elif isinstance(value, tuple) and value[0] == "object":
        strings = [key for key, _ in value[1]]
    return [LONE_SURROGATE.sub("\ufffd", text) for text in strings]


def disagreement(case, document):
    """What is wrong with a case, or None; and whether Python accepts the document."""
    constants = []
    try:
        value = parse(document, lambda name: constants.append(name))
    except ValueError as error:
        return (f"Python refuses it: {error}" if case["accepted"] else None), False
    if not case["accepted"]:
        return "Python accepts it", True
    normal = base64.b64decode(case["normal"])
    if parse(normal, refuse) != value:
        return "the normal form has another value", True
    if normal != normal_form(document):
        return "the normal form has other bytes", True
    if case["non_finite"] != len(constants):
        return f"Python finds {len(constants)} that are not finite", True
    if parse(base64.b64decode(case["rebuilt"]), lambda name: None) != value:
        return "members or elements have another value", True
    if case["texts"] != texts(value):
        return f"Python reads the strings as {texts(value)!a}", True
    return None, True


def main():
    documents = accepted_documents = 0
    for line in sys.stdin.buffer.readlines():
        case = json.loads(line)
        document = base64.b64decode(case["document"])
        wrong, accepted = disagreement(case, document)
        documents += 1
        accepted_documents += accepted
        if wrong:
            print(json.dumps({"wrong": wrong, "document": ascii(document)}))
    print(json.dumps({"documents": documents, "accepted": accepted_documents}))


# Deep documents need a deep stack, here and where values are compared.
sys.setrecursionlimit(100_000)
threading.stack_size(512 * 1024 * 1024)
thread = threading.Thread(target=main)
thread.start()
thread.join()
