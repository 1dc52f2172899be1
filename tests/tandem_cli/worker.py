"""A small process for tests of the supervisor: answers /readyz, shows its settings, ends on demand.

Its behaviour comes by environment variables: WORKER_EXIT (end at once with this code), WORKER_STUBBORN (ignore
SIGTERM), WORKER_SAY (print this line).
"""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known = self.path in {"/readyz", "/settings"}
        self.send_response(200 if known else 404)
        self.end_headers()
        if self.path == "/settings":
            self.wfile.write(json.dumps(dict(os.environ)).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        pass


def write_line(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    write_line(os.environ.get("WORKER_SAY", "at work"))
    if code := os.environ.get("WORKER_EXIT"):
        write_line("cannot go on")
        sys.exit(int(code))
    if os.environ.get("WORKER_STUBBORN"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    HTTPServer((os.environ["HTTP_HOST"], int(os.environ["HTTP_PORT"])), Health).serve_forever()


if __name__ == "__main__":
    main()
