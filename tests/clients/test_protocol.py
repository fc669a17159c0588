"""The Redis protocol on the wire: RESP3's types, inline commands, requests in pieces, and errors,
against one engine. Usage: see server.py."""

import unittest

import server as fixture
from wire import Error, Set, Simple, Verbatim, Wire, request


class Case(unittest.TestCase):
    def setUp(self):
        self.wire = self.connect()
        self.assertEqual(self.wire.say("FLUSHALL"), "OK")

    def connect(self):
        wire = Wire(fixture.server.host, fixture.server.port)
        self.addCleanup(wire.close)
        return wire


class Types(Case):
    def test_version_2(self):
        say = self.wire.say
        self.assertIsInstance(say("HELLO"), list)
        self.wire.send(request("GET", "none"))
        self.assertEqual(self.wire.file.read(5), b"$-1\r\n")
        self.assertIsInstance(say("CONFIG", "GET", "save"), list)
        self.assertIsInstance(say("INFO", "cluster"), bytes)
        self.assertIsInstance(say("COMMAND", "INFO", "get")[0][2], list)
        self.assertIsInstance(say("COMMAND", "DOCS", "get"), list)

    def test_version_3(self):
        say = self.wire.say
        hello = say("HELLO", "3", "SETNAME", "bob")
        self.assertEqual((hello[b"proto"], hello[b"role"], hello[b"modules"]), (3, b"master", []))
        self.assertEqual(say("CLIENT", "GETNAME"), b"bob")
        self.wire.send(request("GET", "none"))
        self.assertEqual(self.wire.file.read(3), b"_\r\n")
        self.assertIsInstance(say("SET", "k", "v"), Simple)
        self.assertEqual(say("MGET", "k", "none"), [b"v", None])
        self.assertEqual(say("CONFIG", "GET", "save"), {b"save": b""})
        self.assertIsInstance(say("INFO", "cluster"), Verbatim)
        self.assertIsInstance(say("CLIENT", "INFO"), Verbatim)
        self.assertIsInstance(say("COMMAND", "INFO", "get")[0][2], Set)
        self.assertEqual(say("COMMAND", "DOCS", "get")[b"get"][b"group"], b"string")
        self.assertIsInstance(say("INCR", "n"), int)
        self.assertEqual(say("INCRBYFLOAT", "n", "0.5"), b"1.5")
        self.assertIsInstance(say("NOSUCH"), Error)

    def test_version_3_transactions(self):
        say = self.wire.say
        say("HELLO", "3")
        self.assertEqual(say("WATCH", "k"), "OK")
        self.connect().say("SET", "k", "1")
        self.assertEqual(say("MULTI"), "OK")
        self.assertEqual(say("CONFIG", "GET", "save"), "QUEUED")
        self.wire.send(request("EXEC"))
        self.assertEqual(self.wire.file.read(3), b"_\r\n")
        self.assertEqual(say("MULTI"), "OK")
        self.assertEqual(say("CONFIG", "GET", "save"), "QUEUED")
        self.assertEqual(say("GET", "none"), "QUEUED")
        self.assertEqual(say("EXEC"), [{b"save": b""}, None])

    def test_back_to_version_2(self):
        self.wire.say("HELLO", "3")
        self.assertIsInstance(self.wire.say("HELLO", "2"), list)
        self.assertIsInstance(self.wire.say("CONFIG", "GET", "save"), list)
        self.wire.say("HELLO", "3")
        self.assertEqual(self.wire.say("RESET"), "RESET")
        self.assertIsInstance(self.wire.say("CONFIG", "GET", "save"), list)


class Reset(Case):
    def test_a_transaction_is_forgotten(self):
        say = self.wire.say
        say("WATCH", "k")
        say("MULTI")
        self.assertEqual(say("SET", "k", "1"), "QUEUED")
        self.assertEqual(say("RESET"), "RESET")
        self.assertIsNone(say("GET", "k"))
        self.assertEqual(say("EXEC"), "ERR EXEC without MULTI")
        self.connect().say("SET", "k", "2")
        self.assertEqual(say("MULTI"), "OK")
        self.assertEqual(say("GET", "k"), "QUEUED")
        self.assertEqual(say("EXEC"), [b"2"])


class Inline(Case):
    def test_lines(self):
        self.wire.send(b"PING\r\n\r\n\n  set  k \"a\\x41 b\"\n\r\nget k\r\n*1\r\n$4\r\nPING\r\nget 'k'\r\n")
        self.assertEqual([self.wire.read() for _ in range(5)],
                         ["PONG", "OK", b"aA b", "PONG", b"aA b"])

    def test_empty_arrays_have_no_answer(self):
        self.wire.send(b"*0\r\n*-1\r\n" + request("PING"))
        self.assertEqual(self.wire.read(), "PONG")

    def test_unbalanced_quotes(self):
        self.wire.send(b"set k \"a\r\n")
        self.assertEqual(self.wire.read(), "ERR Protocol error: unbalanced quotes in request")
        self.assertTrue(self.wire.is_closed())


class Pieces(Case):
    def test_a_byte_at_a_time(self):
        for byte in request("SET", "key", "v" * 50) + request("GET", "key") + b"get key\r\n":
            self.wire.send(bytes([byte]))
        self.assertEqual([self.wire.read() for _ in range(3)], ["OK", b"v" * 50, b"v" * 50])

    def test_a_long_pipeline_in_odd_pieces(self):
        data = b"".join(request("SET", f"k{i}", "v" * (i % 300)) + request("GET", f"k{i}")
                        for i in range(2000))
        for at in range(0, len(data), 7919):
            self.wire.send(data[at:at + 7919])
        for i in range(2000):
            self.assertEqual(self.wire.read(), "OK")
            self.assertEqual(self.wire.read(), b"v" * (i % 300))

    def test_a_large_value(self):
        value = bytes(range(256)) * 40000
        self.assertEqual(self.wire.say("SET", "large", value), "OK")
        self.assertEqual(self.wire.say("GET", "large"), value)

    def test_many_arguments(self):
        words = [word for i in range(20000) for word in (f"k{i}", i)]
        self.assertEqual(self.wire.say("MSET", *words), "OK")
        self.assertEqual(self.wire.say("EXISTS", *words[::2]), 20000)
        self.assertEqual(self.wire.say("MGET", *words[::2]),
                         [str(i).encode() for i in range(20000)])
        self.assertEqual(self.wire.say("DEL", *words[::2]), 20000)


class Errors(Case):
    def test_broken_requests_are_answered_and_closed(self):
        for data, text in ((b"*x\r\n", "invalid multibulk length"),
                           (b"*-x\r\n", "invalid multibulk length"),
                           (b"*1\r\nPING\r\n", "expected '$', got 'P'"),
                           (b"*1\r\n$x\r\n", "invalid bulk length"),
                           (b"*1\r\n$-5\r\n", "invalid bulk length"),
                           (b"x" * 70000, "too big inline request")):
            wire = self.connect()
            wire.send(request("PING") + data)
            self.assertEqual(wire.read(), "PONG")
            error = wire.read()
            self.assertIsInstance(error, Error)
            self.assertEqual(error, "ERR Protocol error: " + text)
            self.assertTrue(wire.is_closed())

    def test_errors_of_commands_leave_the_connection_usable(self):
        for words in (("NOSUCH",), ("GET",), ("SET", "k", "v", "FOO"), ("CLIENT", "NOSUCH"),
                      ("MONITOR",) if fixture.is_ours() else ("GET",), ("", ""), (b"\r\n\0",)):
            self.assertIsInstance(self.wire.say(*words), Error)
            self.assertEqual(self.wire.say("PING"), "PONG")

    def test_an_end_in_the_middle_loses_nothing(self):
        other = self.connect()
        other.send(request("SET", "k", "v") + b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhal")
        self.assertEqual(other.read(), "OK")
        other.close()
        self.assertEqual(self.wire.say("GET", "k"), b"v")


if __name__ == "__main__":
    fixture.run(__file__, ["test_protocol"])
