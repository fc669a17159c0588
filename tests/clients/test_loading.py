"""redis-py while the store is still being opened. Usage: test_loading.py FOLDER, that of the test
engine, whose open lasts until a file exists."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

import server as fixture
from wire import Wire

try:
    import redis
except ImportError:
    fixture.skip("redis-py is not installed (Debian: python3-redis)")

from redis.backoff import ConstantBackoff
from redis.retry import Retry



class Loading(unittest.TestCase):
    """The server is on a Unix socket: it says its port only when it is ready."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="kvs-clients-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.path = os.path.join(self.folder, "socket")
        self.gate = os.path.join(self.folder, "gate")
        self.server = subprocess.Popen(
            [os.environ["KVS_TEST_SERVER"], "--addr", f"unix:{self.path}", "--data-dir",
             os.path.join(self.folder, "data"), "--engine", "test", "--plugin-dir", FOLDER,
             "--engine-opt", f"open-gate={self.gate}", "--log-level", "error"])
        self.addCleanup(self.stop)
        fixture.wait_until(self.is_there)

    def is_there(self):
        self.assertIsNone(self.server.poll())
        with socket.socket(socket.AF_UNIX) as one:
            return one.connect_ex(self.path) == 0

    def stop(self):
        self.open()
        self.server.terminate()
        self.assertEqual(self.server.wait(fixture.WAIT_S), 0)

    def open(self):
        with open(self.gate, "w", encoding="ascii"):
            pass

    def connect(self, **options):
        client = redis.Redis(unix_socket_path=self.path, decode_responses=True, **options)
        self.addCleanup(client.close)
        return client

    def test_it_is_told_and_can_come_again(self):
        r = self.connect()
        self.assertTrue(r.ping())
        with self.assertRaises(redis.BusyLoadingError):
            r.get("k")
        info = r.info("persistence")
        self.assertEqual((info["loading"], info["loading_total_bytes"]), (1, 4))
        self.assertEqual((info["loading_loaded_bytes"], info["loading_loaded_perc"]), (1, 25))
        self.assertTrue(info["loading_eta_seconds"] >= 1)
        self.assertTrue(info["loading_start_time"] > 1700000000)
        self.open()
        fixture.wait_until(lambda: r.info("persistence")["loading"] == 0)
        self.assertTrue(r.set("k", "v"))
        self.assertNotIn("loading_eta_seconds", r.info("persistence"))

    def test_the_connection_stays(self):
        """With redis-py's own parser it would be given up: for it LOADING is a failed connection."""
        wire = Wire(self.path)
        self.addCleanup(wire.close)
        self.assertTrue(wire.say("GET", "k").startswith("LOADING "))
        self.assertEqual(wire.say("PING"), "PONG")
        self.open()
        fixture.wait_until(lambda: wire.say("GET", "k") is None)
        self.assertEqual(wire.say("CLIENT", "SETNAME", "same"), "OK")

    def test_transactions_begin_and_end(self):
        """As with Redis: only what needs the store is refused."""
        wire = Wire(self.path)
        self.addCleanup(wire.close)
        self.assertEqual(wire.say("MULTI"), "OK")
        self.assertTrue(wire.say("GET", "k").startswith("LOADING "))
        self.assertEqual(wire.say("EXEC"),
                         "EXECABORT Transaction discarded because of previous errors.")
        for end, reply in (("EXEC", [b"x", "OK"]), ("DISCARD", "OK")):
            self.assertEqual(wire.say("MULTI"), "OK")
            self.assertEqual(wire.say("ECHO", "x"), "QUEUED")
            self.assertEqual(wire.say("UNWATCH"), "QUEUED")
            self.assertEqual(wire.say(end), reply)
        self.assertEqual(wire.say("EXEC"), "ERR EXEC without MULTI")
        self.assertEqual(wire.say("DISCARD"), "ERR DISCARD without MULTI")
        # What is watched now is not known, so it may have changed.
        self.assertEqual(wire.say("WATCH", "k"), "OK")
        self.open()
        fixture.wait_until(lambda: wire.say("GET", "k") is None)
        for watched, reply in ((True, None), (False, ["OK"])):
            self.assertEqual(wire.say("MULTI"), "OK")
            self.assertEqual(wire.say("SET", "j", "v"), "QUEUED")
            self.assertEqual(wire.say("EXEC"), reply, watched)

    def test_a_client_that_retries_waits_for_it(self):
        r = self.connect(retry=Retry(ConstantBackoff(0.05), 500),
                         retry_on_error=[redis.BusyLoadingError])
        monitor = self.connect()
        errors = monitor.info("stats")["total_error_replies"]
        answers = []
        thread = threading.Thread(target=lambda: answers.append(r.set("k", "v")))
        thread.start()
        fixture.wait_until(lambda: monitor.info("stats")["total_error_replies"] > errors + 2)
        self.assertEqual(answers, [])
        self.open()
        thread.join(fixture.WAIT_S)
        self.assertEqual(answers, [True])


if __name__ == "__main__":
    FOLDER = sys.argv.pop(1)
    unittest.main()
