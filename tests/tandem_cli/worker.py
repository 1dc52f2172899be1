"""A small process for tests of the supervisor: answers /readyz, says what it is given, ends as it is told.

Its behaviour comes by environment variables: WORKER_EXIT (end at once with this code), WORKER_STUBBORN (ignore
SIGTERM), WORKER_SAY (print this line).
"""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        pass


def main() -> None:
    print(os.environ.get("WORKER_SAY", "at work"), flush=True)  # noqa: T201
    if code := os.environ.get("WORKER_EXIT"):
        print("cannot go on", flush=True)  # noqa: T201
        sys.exit(int(code))
    if os.environ.get("WORKER_STUBBORN"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    HTTPServer((os.environ["HTTP_HOST"], int(os.environ["HTTP_PORT"])), Health).serve_forever()


if __name__ == "__main__":
    main()
