"""redis-cli and redis-benchmark, as people use them, against one engine. Usage: see server.py."""

import os
import pty
import re
import select
import shutil
import subprocess
import time
import unittest

import server as fixture
from wire import request

for program in ("redis-cli", "redis-benchmark"):
    if shutil.which(program) is None:
        fixture.skip(f"{program} is not installed (Debian: redis-tools)")

LIMIT_S = 30


def run(program, *arguments, given=b""):
    """Runs it to its end; gives what it wrote."""
    done = subprocess.run(
        [program, "-h", fixture.server.host, "-p", str(fixture.server.port), *arguments],
        input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT_S, check=False)
    return done.stdout.decode(errors="replace")


def cli(*arguments, given=b""):
    return run("redis-cli", *arguments, given=given)


class Cli(unittest.TestCase):
    def setUp(self):
        self.assertEqual(cli("flushall"), "OK\n")

    def test_one_command(self):
        self.assertEqual(cli("set", "k", "hello world"), "OK\n")
        self.assertEqual(cli("get", "k"), "hello world\n")
        self.assertEqual(cli("get", "none"), "\n")
        self.assertEqual(cli("-x", "set", "k", given=b"from stdin"), "OK\n")
        self.assertEqual(cli("--no-raw", "get", "k"), '"from stdin"\n')
        self.assertEqual(cli("incrby", "n", "5"), "5\n")
        self.assertIn("ERR unknown command 'nosuch'", cli("nosuch"))

    def test_version_3(self):
        self.assertIn('1# "server" => "redis"', cli("-3", "--no-raw", "hello"))
        self.assertIn('1# "save" => ""', cli("-3", "--no-raw", "config", "get", "save"))
        self.assertEqual(cli("-3", "--no-raw", "get", "none"), "(nil)\n")
        self.assertEqual(cli("-3", "--json", "config", "get", "save"), '{"save":""}\n')

    def test_lines_of_commands(self):
        self.assertEqual(cli(given=b"set a 1\nincr a\n\nmulti\nincr a\nget a\nexec\nget a\n"),
                         "OK\n2\nOK\nQUEUED\nQUEUED\n3\n3\n3\n")

    def test_pipe(self):
        data = b"".join(request("SET", f"k{i}", f"v{i}") for i in range(5000))
        self.assertIn("errors: 0, replies: 5000", cli("--pipe", given=data))
        self.assertEqual(cli("dbsize"), "5000\n")
        lines = b"".join(b"SET line%d \"v %d\"\r\n\r\n" % (i, i) for i in range(1000))
        self.assertIn("errors: 0, replies: 1000", cli("--pipe", given=lines))
        self.assertEqual(cli("get", "line7"), "v 7\n")

    def test_scan_and_sizes(self):
        cli("--pipe", given=b"".join(request("SET", f"k{i}", "v" * i) for i in range(300)))
        self.assertEqual(len(cli("--scan").split()), 300)
        self.assertEqual(sorted(cli("--scan", "--pattern", "k?").split()),
                         [f"k{i}" for i in range(10)])
        big = cli("--bigkeys")
        self.assertRegex(big, r'Biggest string found \'?"k299"\'? has 299 bytes')
        self.assertIn("300 strings with 44850 bytes", big)
        self.assertRegex(cli("--memkeys"), r'Biggest string found')

    def test_refusals_are_clean(self):
        if not fixture.is_ours():
            self.skipTest("Redis has these")
        self.assertIn("ERR MONITOR is not supported", cli("monitor"))
        self.assertIn("ERR unknown command 'subscribe'", cli("subscribe", "x"))

    def test_help_comes_from_the_server(self):
        self.assertIn("SET", cli("help", "set").upper())

    def test_stat(self):
        process = subprocess.Popen(
            ["redis-cli", "-h", fixture.server.host, "-p", str(fixture.server.port), "--stat",
             "-i", "0.01"], stdout=subprocess.PIPE)
        try:
            lines = [process.stdout.readline().decode() for _ in range(4)]
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        self.assertIn("keys", lines[1])
        self.assertRegex(lines[2], r"^0\s+\S+[KMG]\s+\d+")


class Interactive(unittest.TestCase):
    """redis-cli at a terminal: it asks for the commands' documentation first, for its hints."""

    def setUp(self):
        child, self.terminal = pty.fork()
        if child == 0:
            os.environ.update(TERM="dumb", REDISCLI_HISTFILE="/dev/null")
            os.execvp("redis-cli", ["redis-cli", "-h", fixture.server.host, "-p",
                                    str(fixture.server.port)])
        self.child = child
        self.seen = ""

    def tearDown(self):
        os.close(self.terminal)
        os.waitpid(self.child, 0)

    def expect(self, pattern):
        deadline = time.monotonic() + LIMIT_S
        while not re.search(pattern, self.seen):
            self.assertLess(time.monotonic(), deadline, f"no {pattern!r} in {self.seen!r}")
            if select.select([self.terminal], [], [], 0.1)[0]:
                self.seen += os.read(self.terminal, 65536).decode(errors="replace")
        self.seen = self.seen[re.search(pattern, self.seen).end():]

    def type(self, line):
        os.write(self.terminal, line.encode() + b"\r\n")

    def test_session(self):
        self.expect(r"\d> ")
        self.type("set greeting 'hello, world'")
        self.expect(r"OK")
        self.expect(r"\d> ")
        self.type("get greeting")
        self.expect(r'"hello, world"')
        self.expect(r"\d> ")
        self.type("nosuch")
        self.expect(r"\(error\) ERR unknown command")
        self.expect(r"\d> ")
        self.type("multi")
        self.expect(r"OK")
        self.expect(r"\(TX\)> ")
        self.type("get greeting")
        self.expect(r"QUEUED")
        self.expect(r"\(TX\)> ")
        self.type("exec")
        self.expect(r'1\) "hello, world"')
        self.expect(r"\d> ")
        self.type("quit")


class Benchmark(unittest.TestCase):
    def test_its_tests_of_our_commands(self):
        out = run("redis-benchmark", "-t", "ping,set,get,incr,mset", "-n", "2000", "-c", "10", "-P",
                  "8", "-r", "1000", "--csv")
        for name in ("PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"):
            self.assertIn(f'"{name}"', out)
        self.assertNotRegex(out, r"(?i)error|wrong")

    def test_quiet_with_large_values(self):
        out = run("redis-benchmark", "-t", "set,get", "-n", "500", "-c", "5", "-d", "20000", "-q")
        self.assertRegex(out, r"SET: [\d.]+ requests per second")
        self.assertRegex(out, r"GET: [\d.]+ requests per second")


if __name__ == "__main__":
    fixture.run(__file__, ["test_redis_cli"])
