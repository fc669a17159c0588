"""A kvs-server of this build for tests with other people's clients, and what the suites share.

Each suite is run as: SUITE.py ENGINE. With "HOST:PORT" instead of ENGINE it talks to a server that
runs already: that is how the expectations themselves are checked against Redis.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

SKIPPED = 77  # what Meson takes for "not run"
WAIT_S = 30
LISTENS = re.compile(r"listens on (?:[^,;]*,)*?127\.0\.0\.1:(\d+)")


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


class Server:
    """A server process with a data directory of its own."""

    def __init__(self, engine, arguments=()):
        self.engine = engine
        self.arguments = list(arguments)
        self.folder = tempfile.mkdtemp(prefix="kvs-clients-")
        self.process = None
        self.host = "127.0.0.1"
        self.port = 0

    def start(self):
        log_path = os.path.join(self.folder, "log")
        with open(log_path, "ab") as log:
            self.process = subprocess.Popen(
                [os.environ["KVS_TEST_SERVER"], "--addr", "127.0.0.1:0", "--engine", self.engine,
                 "--data-dir", os.path.join(self.folder, "data"), "--sync", "none",
                 "--checkpoint-dir", os.path.join(self.folder, "checkpoints"),
                 *(["--engine-opt", "segment-size=4m"] if self.engine == "log" else []),
                 *self.arguments],
                stderr=log)
        deadline = time.monotonic() + WAIT_S
        offset = getattr(self, "log_size", 0)
        while True:
            with open(log_path, encoding="utf-8", errors="replace") as log:
                log.seek(offset)
                text = log.read()
            found = LISTENS.search(text)
            if found:
                self.log_size = offset + len(text.encode())
                self.port = int(found.group(1))
                return self
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"kvs-server did not start:\n{text}")
            time.sleep(0.01)

    def wait(self):
        """Waits for a server that is stopping by itself; gives its exit status."""
        return self.process.wait(timeout=WAIT_S)

    def stop(self):
        """Stops it in order, and checks that it could."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
        status = self.wait()
        if status != 0:
            with open(os.path.join(self.folder, "log"), encoding="utf-8") as log:
                raise RuntimeError(f"kvs-server ended with {status}:\n{log.read()[-5000:]}")

    def remove(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Elsewhere:
    """A server that somebody else runs."""

    def __init__(self, address):
        self.host, port = address.rsplit(":", 1)
        self.port = int(port)

    def stop(self):
        pass

    remove = stop


server = None  # the one that the suite talks to


def is_ours():
    return isinstance(server, Server)


def run(suite_file, arguments=()):
    """Runs the unittest cases of the modules in `arguments` against one server."""
    global server
    target = sys.argv[1] if len(sys.argv) > 1 else "log"
    server = Elsewhere(target) if ":" in target else Server(target).start()
    modules = arguments or ["__main__"]
    tests = unittest.TestSuite(
        unittest.defaultTestLoader.loadTestsFromName(name) for name in modules)
    try:
        result = unittest.TextTestRunner(verbosity=1).run(tests)
        server.stop()
    finally:
        server.remove()
    sys.exit(0 if result.wasSuccessful() else 1)


def wait_until(condition):
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain")
        time.sleep(0.005)
