"""The real client of CANFAR, talking to a server on this machine that only notes what it is asked.

    launch_client.py COMMAND [ARG]...     runs COMMAND, in which `canfar` and the Python package are the real client
    launch_client.py --lines              runs each line of standard input, which is JSON: a list of words, as typed after
                                          `canfar`, or the text of a program in Python

Standard output: a line of JSON per request, {"query": [[name, value], ...], "length": bytes of its URL}, and a null
after each line of --lines. What COMMAND prints goes to standard error.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

OUT = os.fdopen(os.dup(1), "w", encoding="utf-8")
LOCK = threading.Lock()


def note(what):
    with LOCK:
        OUT.write(json.dumps(what) + "\n")
        OUT.flush()


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one packet: else every answer waits for an acknowledgement.
    wbufsize = -1

    def do_POST(self):
        query = parse_qsl(urlsplit(self.path).query, keep_blank_values=True)
        note({"query": query, "length": len(self.path)})
        body = b"abcd1234\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Listener(ThreadingHTTPServer):
    # A launch opens a connection for every replica at once; one that finds the queue full tries again a second later.
    request_queue_size = 256


def run_lines():
    sys.argv = ["canfar"]
    from canfar.cli.main import main

    for line in sys.stdin:
        what = json.loads(line)
        if isinstance(what, str):
            exec(what, {})
        else:
            sys.argv = ["canfar", *what]
            with contextlib.suppress(SystemExit):
                main()
        note(None)


def main():
    server = Listener(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory() as home:
        canfar = Path(home, "canfar")
        canfar.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from canfar.cli.main import main; main()" "$@"\n')
        canfar.chmod(0o755)
        os.environ |= {
            "HOME": home,
            "PATH": f"{home}:{os.path.dirname(sys.executable)}:{os.environ['PATH']}",
            "CANFAR_URL": f"http://127.0.0.1:{server.server_port}/skaha/v1",
            "CANFAR_TOKEN": "not-a-token",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            os.environ.pop(proxy, None)
        if sys.argv[1] == "--lines":
            run_lines()
            code = 0
        else:
            code = subprocess.run(sys.argv[1:], check=False, stdin=subprocess.DEVNULL).returncode
    sys.exit(code)


main()
