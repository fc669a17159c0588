// ioredis over the commands, against one engine. Usage: see server.mjs.

import assert from "node:assert/strict";
import { library, pause, run } from "./server.mjs";

const { default: Redis } = library("ioredis");

// A test that gets a connected client and an empty store.
const withClient = (test, options = {}) => async (server) => {
  const client = new Redis({ host: server.host, port: server.port, ...options });
  client.on("error", () => {}); // what matters is thrown by the calls
  try {
    await client.flushall();
    await test(client, server);
  } finally {
    client.disconnect();
  }
};

const refused = (promise, text) =>
  assert.rejects(promise, (error) => error.message === text || assert.fail(error.message));

await run({
  strings: withClient(async (r) => {
    assert.equal(await r.get("k"), null);
    assert.equal(await r.set("k", "v"), "OK");
    assert.equal(await r.get("k"), "v");
    assert.equal(await r.set("k", "w", "NX"), null);
    assert.equal(await r.set("none", "w", "XX"), null);
    assert.equal(await r.set("k", "x", "EX", 100, "GET"), "v");
    assert.ok((await r.ttl("k")) > 90);
    assert.equal(await r.set("k", "y", "KEEPTTL"), "OK");
    assert.ok((await r.ttl("k")) > 90);
    assert.equal(await r.getex("k", "PERSIST"), "y");
    assert.equal(await r.ttl("k"), -1);
    assert.equal(await r.getset("k", "z"), "y");
    assert.equal(await r.append("k", "!"), 2);
    assert.equal(await r.strlen("k"), 2);
    assert.equal(await r.getrange("k", 0, 0), "z");
    assert.equal(await r.setrange("k", 1, "ab"), 3);
    assert.equal(await r.getdel("k"), "zab");
    assert.equal(await r.setnx("k", "1"), 1);
    assert.equal(await r.setex("k", 10, "1"), "OK");
    assert.equal(await r.psetex("k", 1, "1"), "OK");
    await pause(10);
    assert.equal(await r.get("k"), null);
  }),

  bytes: withClient(async (r) => {
    const every = Buffer.from(Array.from({ length: 70000 }, (_, i) => i % 256));
    await r.set("bytes", every);
    assert.deepEqual(await r.getBuffer("bytes"), every);
  }),

  many: withClient(async (r) => {
    assert.equal(await r.mset({ a: "1", b: "2" }), "OK");
    assert.deepEqual(await r.mget("a", "none", "b"), ["1", null, "2"]);
    assert.equal(await r.msetnx("c", "3", "a", "9"), 0);
    assert.equal(await r.msetnx("c", "3", "d", "4"), 1);
    assert.equal(await r.exists("a", "b", "none"), 2);
    assert.equal(await r.del("a", "none"), 1);
    assert.equal(await r.unlink("b"), 1);
    assert.equal(await r.touch("c", "none"), 1);
    assert.equal(await r.type("c"), "string");
    assert.equal(await r.dbsize(), 2);
  }),

  counters: withClient(async (r) => {
    assert.equal(await r.incr("n"), 1);
    assert.equal(await r.incrby("n", 9), 10);
    assert.equal(await r.decr("n"), 9);
    assert.equal(await r.decrby("n", 4), 5);
    assert.equal(await r.incrbyfloat("n", 0.5), "5.5");
    await refused(r.incr("n"), "ERR value is not an integer or out of range");
    const counts = await Promise.all(Array.from({ length: 300 }, () => r.incr("m")));
    assert.deepEqual(counts, Array.from({ length: 300 }, (_, i) => i + 1));
  }),

  expiry: withClient(async (r) => {
    await r.set("k", "v");
    const soon = Math.floor(Date.now() / 1000) + 1000;
    assert.equal(await r.expire("k", 100), 1);
    assert.equal(await r.expire("k", 100, "NX"), 0);
    assert.equal(await r.pexpire("k", 200000, "GT"), 1);
    assert.equal(await r.expireat("k", soon), 1);
    assert.equal(await r.expiretime("k"), soon);
    assert.equal(await r.pexpireat("k", soon * 1000 + 1), 1);
    assert.equal(await r.pexpiretime("k"), soon * 1000 + 1);
    assert.equal(await r.persist("k"), 1);
    assert.equal(await r.pttl("k"), -1);
    assert.equal(await r.pttl("none"), -2);
  }),

  names: withClient(async (r) => {
    await r.mset({ "user:1": "a", "user:2": "b", other: "c" });
    assert.deepEqual((await r.keys("user:*")).sort(), ["user:1", "user:2"]);
    assert.equal(await r.rename("other", "moved"), "OK");
    assert.equal(await r.renamenx("moved", "user:1"), 0);
    assert.equal(await r.copy("moved", "copied"), 1);
    await refused(r.rename("none", "x"), "ERR no such key");
    assert.ok(["user:1", "user:2", "moved", "copied"].includes(await r.randomkey()));
    const seen = new Set();
    for await (const keys of r.scanStream({ match: "user:*", count: 1 }))
      keys.forEach((key) => seen.add(key));
    assert.deepEqual([...seen].sort(), ["user:1", "user:2"]);
    assert.equal(await r.flushdb(), "OK");
    assert.equal(await r.dbsize(), 0);
  }),

  pipelines: withClient(async (r) => {
    const pipe = r.pipeline();
    for (let i = 0; i < 300; i++) pipe.set(`k${i}`, i).get(`k${i}`).call("NOSUCH");
    const replies = await pipe.exec();
    for (let i = 0; i < 300; i++) {
      assert.deepEqual(replies[3 * i], [null, "OK"]);
      assert.deepEqual(replies[3 * i + 1], [null, String(i)]);
      assert.match(replies[3 * i + 2][0].message, /^ERR unknown command 'NOSUCH'/);
    }
  }),

  transactions: withClient(async (r, server) => {
    const replies = await r.multi().set("a", "1").incr("n").get("a").exec();
    assert.deepEqual(replies, [[null, "OK"], [null, 1], [null, "1"]]);
    const other = new Redis(server.port, server.host);
    await r.watch("a");
    await other.set("a", "2");
    assert.equal(await r.multi().set("a", "3").exec(), null);
    assert.equal(await r.get("a"), "2");
    await r.watch("a");
    assert.deepEqual(await r.multi().set("a", "3").exec(), [[null, "OK"]]);
    await r.multi({ pipeline: false });
    await r.set("b", "1");
    assert.equal(await r.discard(), "OK");
    assert.equal(await r.get("b"), null);
    other.disconnect();
  }),

  connection: withClient(async (r, server) => {
    assert.equal(await r.ping(), "PONG");
    assert.equal(await r.echo("hi"), "hi");
    assert.equal(await r.client("GETNAME"), "suite");
    assert.match(await r.client("LIST"), /name=suite/);
    const id = await r.client("ID");
    const other = new Redis({ host: server.host, port: server.port, retryStrategy: () => null });
    const ended = new Promise((resolve) => other.once("end", resolve));
    other.on("error", () => {});
    assert.notEqual(await other.client("ID"), id);
    assert.equal(await r.client("KILL", "ID", await other.client("ID")), 1);
    await ended;
    await refused(r.call("FOO", "bar"),
      "ERR unknown command 'FOO', with args beginning with: 'bar' ");
    assert.equal(await r.quit(), "OK");
  }, { connectionName: "suite", db: 0 }),

  operators: withClient(async (r) => {
    assert.match(await r.info(), /redis_version:7/);
    assert.deepEqual(await r.config("GET", "save"), ["save", ""]);
    assert.ok((await r.command("COUNT")) > 50);
    assert.equal((await r.time()).length, 2);
    await r.set("n", "1");
    assert.equal(await r.object("ENCODING", "n"), "int");
    assert.ok((await r.memory("USAGE", "n")) > 0);
    assert.ok(Array.isArray(await r.slowlog("GET", 1)));
    assert.equal(await r.save(), "OK");
    assert.ok((await r.lastsave()) > 1700000000);
    assert.equal(await r.wait(0, 10), 0);
  }),
});
