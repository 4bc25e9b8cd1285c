"""no_links.py COMMAND...: executes it where link(2) is refused, as some storage does, for it and all that it starts."""

import ctypes
import os
import platform
import struct
import sys

# Numbers of link and linkat; aarch64 has only the second.
CALLS = {"x86_64": (0xC000003E, [86, 265]), "aarch64": (0xC00000B7, [37])}
EPERM = 1
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | EPERM
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, FILTER = 38, 22, 2


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def instruction(code, value, if_true=0, if_false=0):
    return struct.pack("HBBI", code, if_true, if_false, value)


architecture, numbers = CALLS[platform.machine()]
filter = [
    instruction(LOAD, 4),
    instruction(EQUAL, architecture, 0, len(numbers) + 1),
    instruction(LOAD, 0),
]
for place, number in enumerate(numbers):
    filter.append(instruction(EQUAL, number, len(numbers) - place, 0))
filter += [instruction(RETURN, ALLOW), instruction(RETURN, REFUSE)]
program = Program(len(filter), b"".join(filter))
libc = ctypes.CDLL(None, use_errno=True)
for arguments in [(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, FILTER, ctypes.byref(program), 0, 0)]:
    if libc.prctl(*arguments) != 0:
        sys.exit(f"prctl{arguments[:2]}: {os.strerror(ctypes.get_errno())}")
os.execvp(sys.argv[1], sys.argv[1:])
