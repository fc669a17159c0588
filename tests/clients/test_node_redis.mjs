// node-redis over the commands, in both versions of the protocol, against one engine. Usage: see
// server.mjs.

import assert from "node:assert/strict";
import { library, pause, run } from "./server.mjs";

const { createClient } = library("redis");

async function connect(server, version, options = {}) {
  const client = createClient({
    socket: { host: server.host, port: server.port, reconnectStrategy: false },
    RESP: version,
    ...options,
  });
  client.on("error", () => {}); // what matters is thrown by the calls
  return client.connect();
}

// Two tests: for RESP2 and RESP3. Each gets a connected client and an empty store.
const withClient = (name, test, options = {}) =>
  Object.fromEntries([2, 3].map((version) => [`${name} (RESP${version})`, async (server) => {
    const client = await connect(server, version, options);
    try {
      await client.flushAll();
      await test(client, server, version);
    } finally {
      if (client.isOpen) client.destroy();
    }
  }]));

await run({
  ...withClient("strings", async (r) => {
    assert.equal(await r.get("k"), null);
    assert.equal(await r.set("k", "v"), "OK");
    assert.equal(await r.set("k", "w", { condition: "NX" }), null);
    assert.equal(await r.set("k", "x", { expiration: { type: "EX", value: 100 }, GET: true }), "v");
    assert.ok((await r.ttl("k")) > 90);
    assert.equal(await r.getEx("k", { type: "PERSIST" }), "x");
    assert.equal(await r.append("k", "yz"), 3);
    assert.equal(await r.getRange("k", 1, -1), "yz");
    assert.equal(await r.setRange("k", 0, "ab"), 3);
    assert.equal(await r.strLen("k"), 3);
    assert.equal(await r.getDel("k"), "abz");
    assert.equal(await r.setNX("k", "1"), 1);
    assert.equal(await r.setEx("k", 10, "1"), "OK");
    assert.equal(await r.pSetEx("k", 1, "1"), "OK");
    await pause(10);
    assert.equal(await r.get("k"), null);
  }),

  ...withClient("many", async (r) => {
    assert.equal(await r.mSet({ a: "1", b: "2" }), "OK");
    assert.deepEqual(await r.mGet(["a", "none", "b"]), ["1", null, "2"]);
    assert.equal(await r.mSetNX({ c: "3", a: "9" }), 0);
    assert.equal(await r.exists(["a", "b", "none"]), 2);
    assert.equal(await r.del(["a", "none"]), 1);
    assert.equal(await r.unlink("b"), 1);
    assert.equal(await r.dbSize(), 0);
  }),

  ...withClient("counters", async (r) => {
    const counts = await Promise.all(Array.from({ length: 300 }, () => r.incr("n")));
    assert.deepEqual(counts, Array.from({ length: 300 }, (_, i) => i + 1));
    assert.equal(await r.incrBy("n", 5), 305);
    assert.equal(await r.decr("n"), 304);
    assert.equal(await r.decrBy("n", 4), 300);
    assert.equal(await r.incrByFloat("n", 0.25), "300.25");
    await assert.rejects(r.incr("n"), /^.*ERR value is not an integer or out of range$/);
  }),

  ...withClient("expiry", async (r) => {
    await r.set("k", "v");
    assert.equal(await r.expire("k", 100), 1);
    assert.equal(await r.expire("k", 200, "LT"), 0);
    assert.equal(await r.pExpire("k", 1000500), 1);
    assert.ok((await r.pTTL("k")) > 1000000);
    assert.ok((await r.expireTime("k")) > Date.now() / 1000 + 900);
    assert.equal(await r.persist("k"), 1);
    assert.equal(await r.ttl("k"), -1);
  }),

  ...withClient("names", async (r) => {
    await r.mSet({ "user:1": "a", "user:2": "b", other: "c" });
    assert.deepEqual((await r.keys("user:*")).sort(), ["user:1", "user:2"]);
    assert.equal(await r.rename("other", "moved"), "OK");
    assert.equal(await r.copy("moved", "copied"), 1);
    assert.equal(await r.type("moved"), "string");
    const seen = new Set();
    for await (const keys of r.scanIterator({ MATCH: "user:*", COUNT: 1 }))
      keys.forEach((key) => seen.add(key));
    assert.deepEqual([...seen].sort(), ["user:1", "user:2"]);
  }),

  ...withClient("transactions", async (r, server, version) => {
    assert.deepEqual(await r.multi().set("a", "1").incr("n").get("a").exec(), ["OK", 1, "1"]);
    const other = await connect(server, version);
    await r.watch("a");
    await other.set("a", "2");
    await assert.rejects(r.multi().set("a", "3").exec(), { name: "Error" });
    assert.equal(await r.get("a"), "2");
    other.destroy();
  }),

  ...withClient("connection", async (r) => {
    assert.equal(await r.ping(), "PONG");
    assert.equal(await r.echo("hi"), "hi");
    assert.equal(await r.clientGetName(), "suite");
    const info = await r.clientInfo();
    assert.equal(info.name, "suite");
    assert.equal(info.id, await r.clientId());
    await assert.rejects(r.sendCommand(["FOO", "bar"]), /ERR unknown command 'FOO'/);
    await r.quit();
  }, { name: "suite" }),

  ...withClient("operators", async (r, server, version) => {
    assert.match(await r.info(), /redis_version:7/);
    assert.deepEqual({ ...(await r.configGet("save")) }, { save: "" });
    assert.ok((await r.commandCount()) > 50);
    assert.equal((await r.commandInfo(["get"]))[0].arity, 2);
    await r.set("n", "1");
    assert.equal(await r.objectEncoding("n"), "int");
    assert.ok((await r.memoryUsage("n")) > 0);
    const hello = await r.hello();
    assert.equal(hello.proto, version);
    assert.equal(hello.role, "master");
  }),

  // What only RESP3 has comes as such.
  "types (RESP3)": async (server) => {
    const r = await connect(server, 3);
    const raw = await r.sendCommand(["CONFIG", "GET", "save"]);
    assert.ok(!Array.isArray(raw), "a map is no array");
    const flags = (await r.sendCommand(["COMMAND", "INFO", "get"]))[0][2];
    assert.ok(flags instanceof Set || Array.isArray(flags));
    assert.equal(await r.sendCommand(["GET", "no-such-key"]), null);
    r.destroy();
  },
});
