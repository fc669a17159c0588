"""redis-py: keys as such: expiry, removal, names, iteration."""

import time

from redis_py_case import Case

NOT_INTEGER = "value is not an integer or out of range"


class Expiry(Case):
    def test_expire(self):
        r = self.r
        now = int(time.time())
        self.assertFalse(r.expire("none", 10))
        r.set("k", "v")
        self.assertEqual(r.ttl("k"), -1)
        self.assertEqual(r.pttl("k"), -1)
        self.assertEqual(self.say("EXPIRETIME", "k"), -1)
        self.assertTrue(r.expire("k", 100))
        self.assertIn(r.ttl("k"), (99, 100))
        self.assertTrue(r.pexpire("k", 100500))
        self.assertTrue(100000 < r.pttl("k") <= 100500)
        self.assertTrue(r.expireat("k", now + 1000))
        self.assertEqual(self.say("EXPIRETIME", "k"), now + 1000)
        self.assertTrue(r.pexpireat("k", now * 1000 + 2000500))
        self.assertEqual(self.say("PEXPIRETIME", "k"), now * 1000 + 2000500)
        self.assertTrue(r.persist("k"))
        self.assertFalse(r.persist("k"))
        self.assertFalse(r.persist("none"))
        self.assertEqual((r.ttl("none"), r.pttl("none")), (-2, -2))
        self.assertEqual(self.say("EXPIRETIME", "none"), -2)
        self.assertEqual(self.say("PEXPIRETIME", "none"), -2)
        self.assertEqual(r.get("k"), "v")

    def test_conditions(self):
        r = self.r
        r.set("k", "v")
        self.assertEqual(self.say("EXPIRE", "k", 100, "XX"), 0)
        self.assertEqual(self.say("EXPIRE", "k", 100, "GT"), 0)  # no expiry is the longest
        self.assertEqual(self.say("EXPIRE", "k", 100, "NX"), 1)
        self.assertEqual(self.say("EXPIRE", "k", 200, "NX"), 0)
        self.assertEqual(self.say("EXPIRE", "k", 50, "GT"), 0)
        self.assertEqual(self.say("EXPIRE", "k", 200, "GT"), 1)
        self.assertEqual(self.say("EXPIRE", "k", 300, "LT"), 0)
        self.assertEqual(self.say("EXPIRE", "k", 100, "lt"), 1)
        self.assertEqual(self.say("EXPIRE", "k", 50, "XX", "LT"), 1)
        self.assertIn(r.ttl("k"), (49, 50))
        r.persist("k")
        self.assertEqual(self.say("PEXPIRE", "k", 100000, "LT"), 1)
        self.assert_error("NX and XX, GT or LT options at the same time are not compatible",
                          "EXPIRE", "k", 1, "NX", "XX")
        self.assert_error("GT and LT options at the same time are not compatible",
                          "EXPIRE", "k", 1, "GT", "LT")
        self.assert_error("Unsupported option FOO", "EXPIRE", "k", 1, "FOO")
        self.assert_error(NOT_INTEGER, "EXPIRE", "k", "x")
        self.assert_error("invalid expire time in 'expire' command",
                          "EXPIRE", "k", "9223372036854775807")

    def test_the_past_removes(self):
        r = self.r
        for words in (("EXPIRE", "k", -1), ("PEXPIRE", "k", 0), ("EXPIREAT", "k", 1),
                      ("PEXPIREAT", "k", 1)):
            r.set("k", "v")
            self.assertEqual(self.say(*words), 1)
            self.assertEqual(r.exists("k"), 0)

    def test_expired_keys_are_nowhere(self):
        r = self.r
        r.set("k", "v", px=1)
        r.set("stays", "v")
        time.sleep(0.01)
        self.assertEqual(r.keys("*"), ["stays"])
        self.assertEqual(list(r.scan_iter()), ["stays"])
        self.assertEqual(r.randomkey(), "stays")
        self.assertEqual(r.type("k"), "none")
        self.assertEqual(r.mget("k", "stays"), [None, "v"])
        self.assertEqual(r.delete("k"), 0)


class Keys(Case):
    def test_delete_and_exists(self):
        r = self.r
        r.mset({"a": "1", "b": "2", "c": "3"})
        self.assertEqual(r.exists("a", "b", "none", "a"), 3)
        self.assertEqual(r.touch("a", "none"), 1)
        self.assertEqual(r.delete("a", "none", "a"), 1)
        self.assertEqual(r.unlink("b", "c"), 2)
        self.assertEqual(r.dbsize(), 0)

    def test_type(self):
        self.r.set("k", "v")
        self.assertEqual(self.r.type("k"), "string")
        self.assertEqual(self.r.type("none"), "none")

    def test_rename(self):
        r = self.r
        r.set("a", "1", ex=100)
        r.set("b", "2")
        self.assertTrue(r.rename("a", "b"))
        self.assertEqual(r.get("b"), "1")
        self.assertTrue(r.ttl("b") > 0)
        self.assertEqual(r.exists("a"), 0)
        self.assert_error("no such key", "RENAME", "none", "b")
        r.set("c", "3")
        self.assertFalse(r.renamenx("b", "c"))
        self.assertTrue(r.renamenx("b", "d"))
        self.assertEqual(r.mget("b", "c", "d"), [None, "3", "1"])
        self.assertTrue(r.rename("d", "d"))
        self.assertFalse(r.renamenx("d", "d"))

    def test_copy(self):
        r = self.r
        r.set("a", "1", ex=100)
        self.assertEqual(self.say("COPY", "a", "b"), 1)
        self.assertTrue(r.ttl("b") > 0)
        r.set("c", "3")
        self.assertEqual(self.say("COPY", "c", "b"), 0)
        self.assertEqual(self.say("COPY", "c", "b", "REPLACE"), 1)
        self.assertEqual((r.get("b"), r.ttl("b")), ("3", -1))
        self.assertEqual(self.say("COPY", "none", "b"), 0)

    def test_keys(self):
        r = self.r
        r.mset({"hello": "1", "hallo": "1", "hxllo": "1", "h[llo": "1", "other": "1"})
        self.assertEqual(sorted(r.keys("h?llo")), ["h[llo", "hallo", "hello", "hxllo"])
        self.assertEqual(sorted(r.keys("h[ae]llo")), ["hallo", "hello"])
        self.assertEqual(sorted(r.keys("h[^e]llo")), ["h[llo", "hallo", "hxllo"])
        self.assertEqual(sorted(r.keys("h[a-f]llo")), ["hallo", "hello"])
        self.assertEqual(r.keys("h\\[llo"), ["h[llo"])
        self.assertEqual(len(r.keys("*")), 5)
        self.assertEqual(r.keys("nothing*"), [])

    def test_randomkey(self):
        r = self.r
        self.assertIsNone(r.randomkey())
        r.mset({"a": "1", "b": "2"})
        seen = {r.randomkey() for _ in range(200)}
        self.assertEqual(seen, {"a", "b"})

    def test_scan(self):
        r = self.r
        expected = {f"key:{i}" for i in range(3000)}
        r.mset({key: "v" for key in expected})
        self.assertEqual(set(r.scan_iter(count=100)), expected)
        self.assertEqual(set(r.scan_iter(match="key:1?", count=500)),
                         {f"key:1{i}" for i in range(10)})
        self.assertEqual(set(r.scan_iter(_type="string", count=1000)), expected)
        self.assertEqual(list(r.scan_iter(_type="list", count=1000)), [])
        cursor, keys = r.scan(0, count=10)
        self.assertTrue(0 < len(keys) < 200)
        self.assertNotEqual(cursor, 0)
        self.assert_error("invalid cursor", "SCAN", "x")
        self.assert_error("syntax error", "SCAN", "0", "COUNT", "0")
        self.assert_error(NOT_INTEGER, "SCAN", "0", "COUNT", "x")

    def test_scan_while_others_write(self):
        r = self.r
        stay = {f"stay:{i}" for i in range(500)}
        r.mset({key: "v" for key in stay})
        seen = set()
        cursor, rounds = None, 0
        while cursor != 0:
            cursor, keys = r.scan(cursor or 0, count=20)
            seen.update(keys)
            r.mset({f"new:{rounds}:{i}": "v" for i in range(20)})
            r.delete(*[f"new:{rounds - 1}:{i}" for i in range(20)])
            rounds += 1
        self.assertTrue(stay <= seen)

    def test_flush(self):
        r = self.r
        r.mset({f"k{i}": "v" for i in range(1000)})
        self.assertEqual(r.dbsize(), 1000)
        self.assertTrue(r.flushdb())
        self.assertEqual((r.dbsize(), r.keys("*")), (0, []))
        r.set("k", "v")
        self.assertEqual(self.say("FLUSHALL", "SYNC"), "OK")
        self.assertIsNone(r.get("k"))
