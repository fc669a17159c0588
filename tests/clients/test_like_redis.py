"""The same random commands to kvs-server and to redis-server, whose replies must be the same: in
both versions of the protocol, alone, in pipelines and in transactions, right and wrong ones.
Usage: test_like_redis.py ENGINE [SEED [COMMANDS]]"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

import server as fixture
from wire import Error, Wire, request

COMMANDS = 6000  # of a run
PIPELINE = 40  # at most, sent before replies are read
SLACK_MS = 5000  # that times to live may differ by

KEYS = ["a", "b", "c", "key:1", "key:2", "n", "n2", "no-such-key", "\u00e9\r\n"]
NUMBERS = ["0", "1", "-1", "2", "10", "100", "9223372036854775807", "-9223372036854775808",
           "9223372036854775808", "1.5", "abc", "", " 1", "01", "+1", "3.0e3", "inf", "nan", "-0"]
VALUES = NUMBERS + ["x", "hello", "with blank", "\r\n", "v" * 50, "v" * 5000, "5", "7", "42"]
FLOATS = NUMBERS + ["0.1", "-0.5", "1e17", "1e308", "-1e308", "1e-5", "3.14159265358979"]
FUTURE_S = ["100", "1000", "100000"]
FUTURE_MS = ["100000", "1000000", "99999999"]
BAD_TIMES = ["0", "-1", "9223372036854775807", "9223372036854775", "abc", "1.5", ""]
ENDS = [[["EXEC"]], [["EXEC"]], [["EXEC"]], [["DISCARD"]], [["EXEC", "x"], ["GET", "a"], ["EXEC"]],
        [["MULTI"], ["EXEC"]]]  # of a transaction
WRONG_SUBCOMMANDS = [["CLIENT", "NOSUCH"], ["CONFIG", "GET"], ["client", "id", "x"],
                     ["OBJECT", "ENCODING"], ["MEMORY", "nosuch", "x"], ["Command", "COUNT", "x"],
                     ["SCRIPT", "HELP", "x"]]


class Redis:
    """redis-server on a Unix socket."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="kvs-clients-")
        self.path = os.path.join(self.folder, "socket")
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.path, "--save", "", "--dir",
             self.folder, "--enable-debug-command", "no"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        fixture.wait_until(lambda: os.path.exists(self.path))

    def remove(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def one(self, choices):
        return self.random.choice(choices)

    def some(self, choices, most=4):
        return [self.one(choices) for _ in range(self.random.randint(1, most))]

    def maybe(self, *words, chance=0.3):
        return list(words) if self.random.random() < chance else []

    def soon(self, factor):
        """A moment as Unix time; the past and nonsense now and then."""
        return str((int(time.time()) + 1000) * factor) if self.random.random() < 0.8 else self.one(
            ["1", "0", "-5", "abc"])

    def expiry(self):
        option, value = self.one([
            ("EX", self.one(FUTURE_S)), ("PX", self.one(FUTURE_MS)), ("EXAT", self.soon(1)),
            ("PXAT", self.soon(1000)), ("EX", self.one(BAD_TIMES)), ("PX", self.one(BAD_TIMES)),
            ("ex", "1000")])
        return [option, value]

    def set(self):
        options = [self.maybe(self.one(["NX", "XX"])), self.maybe("GET", chance=0.15),
                   self.maybe(*self.expiry()), self.maybe("KEEPTTL", chance=0.1),
                   self.maybe("nonsense", chance=0.02)]
        self.random.shuffle(options)
        return ["SET", self.one(KEYS), self.one(VALUES), *sum(options, [])]

    def pairs(self):
        words = sum(([self.one(KEYS), self.one(VALUES)] for _ in range(self.random.randint(1, 4))),
                    [])
        return words[:-1] if self.random.random() < 0.05 else words

    def range(self):
        return [self.one(["0", "1", "-1", "3", "-3", "10", "100", "-100", "x",
                          "9223372036854775807", "-9223372036854775808"]) for _ in range(2)]

    def expire(self):
        command, value = self.one([
            ("EXPIRE", self.one(FUTURE_S + BAD_TIMES)), ("PEXPIRE", self.one(FUTURE_MS + BAD_TIMES)),
            ("EXPIREAT", self.soon(1)), ("PEXPIREAT", self.soon(1000))])
        return [command, self.one(KEYS), value,
                *self.maybe(*self.some(["NX", "XX", "GT", "LT", "gt", "FOO"], 2))]

    def command(self):
        k, v = self.one(KEYS), self.one(VALUES)
        choices = [
            self.set(), self.set(), self.set(), ["GET", k], ["GET", k], ["SETNX", k, v],
            ["SETEX", k, self.one(FUTURE_S + BAD_TIMES), v],
            ["PSETEX", k, self.one(FUTURE_MS + BAD_TIMES), v], ["GETSET", k, v], ["GETDEL", k],
            ["GETEX", k, *self.maybe(*self.expiry()), *self.maybe("PERSIST", chance=0.2)],
            ["MGET", *self.some(KEYS)], ["MSET", *self.pairs()], ["MSETNX", *self.pairs()],
            ["DEL", *self.some(KEYS, 3)], ["UNLINK", k], ["EXISTS", *self.some(KEYS)],
            ["TOUCH", *self.some(KEYS)], ["TYPE", k], ["STRLEN", k],
            ["APPEND", k, self.one(VALUES[:24])], ["GETRANGE", k, *self.range()],
            ["SUBSTR", k, *self.range()],
            ["SETRANGE", k, self.one(["0", "1", "5", "20", "-1", "x", "536870912"]),
             self.one(["", "ab", "xyz"])],
            ["INCR", k], ["DECR", k], ["INCRBY", k, self.one(NUMBERS)],
            ["DECRBY", k, self.one(NUMBERS)], ["INCRBYFLOAT", k, self.one(FLOATS)], self.expire(),
            self.expire(), ["TTL", k], ["PTTL", k], ["EXPIRETIME", k], ["PEXPIRETIME", k],
            ["PERSIST", k], ["RENAME", k, self.one(KEYS)], ["RENAMENX", k, self.one(KEYS)],
            ["COPY", k, self.one(KEYS), *self.maybe("REPLACE"), *self.maybe("DB", "0", chance=0.1)],
            ["PING", *self.maybe("x")], ["ECHO", v], ["SELECT", self.one(["0", "99", "x"])],
            ["WAIT", "0", "0"], ["CONFIG", "GET", "save"], ["NOSUCH", *self.some(VALUES[:20])],
            [self.one(["GET", "SET", "MGET", "EXPIRE", "INCRBY", "COPY", "CLIENT"])],
            self.one(WRONG_SUBCOMMANDS), ["CLIENT", "GETNAME"],
            ["COMMAND", "GETKEYS", "MSET", "a", "1"],
        ]
        return self.one(choices)

    def piece(self):
        """Some commands that are sent together."""
        kind = self.random.random()
        if kind < 0.12:
            inside = [self.command() for _ in range(self.random.randint(0, 6))]
            watch = [["WATCH", *self.some(KEYS, 2)]] if self.random.random() < 0.3 else []
            return [*watch, ["MULTI"], *inside, *self.one(ENDS)]
        if kind < 0.15:
            return [["HELLO", self.one(["2", "3"])], ["DISCARD"], ["EXEC"], ["UNWATCH"]]
        if kind < 0.17:
            return [["FLUSHALL"]]
        return [self.command() for _ in range(self.random.randint(1, PIPELINE))]


TIMES = {"TTL": 1000, "PTTL": 1, "EXPIRETIME": 1000, "PEXPIRETIME": 1}


def same(words, ours, theirs):
    if words[0] == "HELLO":
        return isinstance(ours, type(theirs))
    if type(ours) is not type(theirs):
        return False
    if isinstance(ours, int) and words[0] in TIMES and ours > 0 and theirs > 0:
        return abs(ours - theirs) * TIMES[words[0]] <= SLACK_MS
    if isinstance(ours, Error) and words[0] == "CLIENT":
        return ours.split(".")[0] == theirs.split(".")[0]
    return ours == theirs


class Comparison:
    def __init__(self, ours, theirs):
        self.ours, self.theirs = ours, theirs
        self.count = 0

    def compare(self, commands):
        data = b"".join(request(*words) for words in commands)
        for side in (self.ours, self.theirs):
            side.send(data)
        queued = []
        for words in commands:
            ours, theirs = self.ours.read(), self.theirs.read()
            if words[0] == "EXEC" and isinstance(ours, list) and isinstance(theirs, list):
                good = len(ours) == len(theirs) and all(map(same, queued, ours, theirs))
            else:
                good = same(words, ours, theirs)
            if ours == "QUEUED":
                queued.append(words)
            if words[0] in ("MULTI", "EXEC", "DISCARD"):
                queued = []
            if not good:
                raise AssertionError(f"{words!r}:\n  kvs   {ours!r}\n  Redis {theirs!r}")
            self.count += 1


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 30)
    count = int(sys.argv[3]) if len(sys.argv) > 3 else COMMANDS
    if shutil.which("redis-server") is None:
        fixture.skip("redis-server is not installed (Debian: redis-server)")
    server = fixture.Server(sys.argv[1])
    redis = None
    try:
        server.start()
        redis = Redis()
        ours, theirs = Wire(server.host, server.port), Wire(redis.path)
        generator, comparison = Generator(seed), Comparison(ours, theirs)
        while comparison.count < count:
            comparison.compare(generator.piece())
        ours.close()
        theirs.close()
        server.stop()
        print(f"{comparison.count} commands, seed {seed}")
    except AssertionError as error:
        print(f"seed {seed}: {error}")
        sys.exit(1)
    finally:
        server.remove()
        if redis is not None:
            redis.remove()


if __name__ == "__main__":
    main()
