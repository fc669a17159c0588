"""redis-py: strings and counters."""

import threading
import time

import redis

from redis_py_case import Case

NOT_INTEGER = "value is not an integer or out of range"


class Strings(Case):
    def test_set_and_get(self):
        r = self.r
        self.assertIsNone(r.get("k"))
        self.assertTrue(r.set("k", "v"))
        self.assertEqual(r.get("k"), "v")
        self.assertTrue(r.set("k", ""))
        self.assertEqual(r.get("k"), "")
        self.assertEqual(self.say("sEt", "k", "w"), "OK")
        self.assertEqual(self.say("gEt", "k"), "w")

    def test_any_bytes(self):
        r = self.connect(decode_responses=False)
        every = bytes(range(256)) + b"\r\n$3\r\n"
        r.set(every, every[::-1])
        self.assertEqual(r.get(every), every[::-1])
        large = every * 8000
        r.set("large", large)
        self.assertEqual(r.get("large"), large)

    def test_set_conditions(self):
        r = self.r
        self.assertTrue(r.set("k", "1", nx=True))
        self.assertIsNone(r.set("k", "2", nx=True))
        self.assertIsNone(r.set("other", "2", xx=True))
        self.assertTrue(r.set("k", "3", xx=True))
        self.assertEqual(r.get("k"), "3")
        self.assertIsNone(r.get("other"))

    def test_set_get(self):
        r = self.r
        self.assertIsNone(r.set("k", "1", get=True))
        self.assertEqual(r.set("k", "2", get=True), "1")
        self.assertEqual(self.say("SET", "k", "3", "NX", "GET"), "2")
        self.assertEqual(r.get("k"), "2")
        self.assertIsNone(self.say("SET", "new", "3", "NX", "GET"))
        self.assertEqual(r.get("new"), "3")

    def test_set_expiry(self):
        r = self.r
        now = int(time.time())
        r.set("k", "v", ex=100)
        self.assertIn(r.ttl("k"), (99, 100))
        r.set("k", "v", px=100500)
        self.assertTrue(100000 < r.pttl("k") <= 100500)
        r.set("k", "v", exat=now + 1000)
        self.assertTrue(990 <= r.ttl("k") <= 1000)
        r.set("k", "v", pxat=(now + 1000) * 1000)
        self.assertTrue(990 <= r.ttl("k") <= 1000)
        r.set("k", "w", keepttl=True)
        self.assertTrue(r.ttl("k") > 0)
        self.assertEqual(r.get("k"), "w")
        r.set("k", "w")
        self.assertEqual(r.ttl("k"), -1)

    def test_set_errors(self):
        self.assert_error("syntax error", "SET", "k", "v", "FOO")
        self.assert_error("syntax error", "SET", "k", "v", "NX", "XX")
        self.assert_error("syntax error", "SET", "k", "v", "EX", "1", "PX", "1")
        self.assert_error("syntax error", "SET", "k", "v", "EX", "1", "KEEPTTL")
        self.assert_error("syntax error", "SET", "k", "v", "EX")
        self.assert_error(NOT_INTEGER, "SET", "k", "v", "EX", "x")
        for bad in ("0", "-1", "9223372036854775807"):
            self.assert_error("invalid expire time in 'set' command", "SET", "k", "v", "EX", bad)
        self.assert_error("wrong number of arguments for 'set' command", "SET", "k")
        self.assert_error("wrong number of arguments for 'get' command", "GET")
        self.assertIsNone(self.r.get("k"))

    def test_expired_is_gone(self):
        r = self.r
        r.set("k", "v", px=1)
        time.sleep(0.01)
        self.assertIsNone(r.get("k"))
        self.assertEqual(r.exists("k"), 0)
        self.assertEqual(r.ttl("k"), -2)
        self.assertTrue(r.set("k", "new", nx=True))
        self.assertEqual(r.ttl("k"), -1)

    def test_small_setters(self):
        r = self.r
        self.assertTrue(r.setnx("k", "1"))
        self.assertFalse(r.setnx("k", "2"))
        self.assertTrue(r.setex("k", 100, "3"))
        self.assertIn(r.ttl("k"), (99, 100))
        self.assertTrue(r.psetex("k", 100500, "4"))
        self.assertTrue(r.pttl("k") > 100000)
        self.assert_error("invalid expire time in 'setex' command", "SETEX", "k", "0", "v")
        self.assert_error("invalid expire time in 'psetex' command", "PSETEX", "k", "-5", "v")
        self.assertEqual(r.getset("k", "5"), "4")
        self.assertEqual(r.ttl("k"), -1)
        self.assertIsNone(r.getset("none", "5"))

    def test_getdel_getex(self):
        r = self.r
        r.set("k", "v")
        self.assertEqual(r.getex("k", ex=100), "v")
        self.assertIn(r.ttl("k"), (99, 100))
        self.assertEqual(r.getex("k"), "v")
        self.assertTrue(r.ttl("k") > 0)
        self.assertEqual(r.getex("k", persist=True), "v")
        self.assertEqual(r.ttl("k"), -1)
        self.assertEqual(r.getex("k", pxat=int(time.time() * 1000) + 100000), "v")
        self.assertTrue(r.ttl("k") > 0)
        self.assertEqual(r.getdel("k"), "v")
        self.assertIsNone(r.getdel("k"))
        self.assertIsNone(r.getex("k", ex=100))
        self.assertEqual(r.exists("k"), 0)
        self.assert_error("syntax error", "GETEX", "k", "FOO")

    def test_many(self):
        r = self.r
        self.assertTrue(r.mset({"a": "1", "b": "2", "c": ""}))
        self.assertEqual(r.mget("a", "none", "c", "b", "a"), ["1", None, "", "2", "1"])
        self.assertFalse(r.msetnx({"d": "4", "a": "9"}))
        self.assertEqual(r.mget("d", "a"), [None, "1"])
        self.assertTrue(r.msetnx({"d": "4", "e": "5"}))
        self.assertEqual(r.mget("d", "e"), ["4", "5"])
        self.assertEqual(self.say("MSET", "x", "1", "x", "2"), "OK")
        self.assertEqual(r.get("x"), "2")
        self.assert_error("wrong number of arguments for 'mset' command", "MSET", "a")
        self.assert_error("wrong number of arguments for 'mset' command", "MSET", "a", "1", "b")
        many = {f"k{i}": str(i) for i in range(2000)}
        r.mset(many)
        self.assertEqual(r.mget(list(many)), list(many.values()))

    def test_parts(self):
        r = self.r
        self.assertEqual(r.append("k", "Hello"), 5)
        self.assertEqual(r.append("k", " World"), 11)
        self.assertEqual(r.strlen("k"), 11)
        self.assertEqual(r.strlen("none"), 0)
        self.assertEqual(r.getrange("k", 0, 4), "Hello")
        self.assertEqual(r.getrange("k", -5, -1), "World")
        self.assertEqual(r.getrange("k", 5, 100), " World")
        self.assertEqual(r.getrange("k", 7, 3), "")
        self.assertEqual(r.getrange("none", 0, -1), "")
        self.assertEqual(self.say("SUBSTR", "k", 0, 1), "He")
        self.assertEqual(r.setrange("k", 6, "Redis"), 11)
        self.assertEqual(r.get("k"), "Hello Redis")
        self.assertEqual(r.setrange("pad", 3, "x"), 4)
        self.assertEqual(r.get("pad"), "\0\0\0x")
        self.assertEqual(r.setrange("none", 5, ""), 0)
        self.assertEqual(r.exists("none"), 0)
        self.assert_error("offset is out of range", "SETRANGE", "k", "-1", "x")
        self.assert_error(NOT_INTEGER, "GETRANGE", "k", "a", "1")

    def test_append_keeps_the_expiry(self):
        r = self.r
        r.set("k", "v", ex=100)
        r.append("k", "w")
        r.setrange("k", 0, "x")
        self.assertEqual(r.get("k"), "xw")
        self.assertTrue(r.ttl("k") > 0)


class Counters(Case):
    def test_integers(self):
        r = self.r
        self.assertEqual(r.incr("n"), 1)
        self.assertEqual(r.incrby("n", 10), 11)
        self.assertEqual(self.say("DECR", "n"), 10)
        self.assertEqual(r.decrby("n", 4), 6)
        self.assertEqual(r.get("n"), "6")
        r.set("n", "9223372036854775806")
        self.assertEqual(r.incr("n"), 9223372036854775807)
        self.assert_error("increment or decrement would overflow", "INCR", "n")
        self.assert_error(NOT_INTEGER, "INCRBY", "n", "1.5")
        r.set("n", "-9223372036854775808")
        self.assert_error("increment or decrement would overflow", "DECR", "n")
        self.assert_error("decrement would overflow", "DECRBY", "n", "-9223372036854775808")
        for bad in ("x", "", " 1", "1.0", "01"):
            r.set("n", bad)
            self.assert_error(NOT_INTEGER, "INCR", "n")

    def test_they_keep_the_expiry(self):
        r = self.r
        r.set("n", "1", ex=100)
        r.incr("n")
        r.incrbyfloat("n", 0.5)
        self.assertEqual(r.get("n"), "2.5")
        self.assertTrue(r.ttl("n") > 0)

    def test_floats(self):
        r = self.r
        self.assertEqual(self.say("INCRBYFLOAT", "f", "10.5"), "10.5")
        self.assertEqual(r.incrbyfloat("f", "0.1"), 10.6)
        self.assertEqual(r.get("f"), "10.6")
        self.assertEqual(r.incrbyfloat("f", "-5"), 5.6)
        r.set("f", "5.0e3")
        self.assertEqual(r.incrbyfloat("f", "2.0e2"), 5200)
        self.assertEqual(r.get("f"), "5200")
        r.set("f", "3.0")
        r.incrbyfloat("f", "1.0")
        self.assertEqual(r.get("f"), "4")
        r.set("f", "x")
        self.assert_error("value is not a valid float", "INCRBYFLOAT", "f", "1")
        r.set("f", "1")
        self.assert_error("value is not a valid float", "INCRBYFLOAT", "f", "x")
        self.assert_error("increment would produce NaN or Infinity", "INCRBYFLOAT", "f", "+inf")

    def test_nobody_loses_a_count(self):
        def count():
            r = self.connect()
            for _ in range(100):
                r.incr("n")
                r.append("text", "x")

        threads = [threading.Thread(target=count) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.r.get("n"), "800")
        self.assertEqual(self.r.strlen("text"), 800)


class Pipelines(Case):
    def test_replies_keep_order(self):
        pipe = self.r.pipeline(transaction=False)
        for i in range(500):
            pipe.set(f"k{i}", i)
            pipe.get(f"k{i}")
            pipe.incr("n")
            pipe.execute_command("NOSUCH")
            pipe.delete(f"k{i}")
            pipe.get(f"k{i}")
        replies = pipe.execute(raise_on_error=False)
        for i in range(500):
            set_, get, count, error, deleted, none = replies[6 * i:6 * i + 6]
            self.assertEqual((set_, get, count, deleted, none), (True, str(i), i + 1, 1, None))
            self.assertIsInstance(error, redis.ResponseError)
