// ioredis and node-redis while the store is still being opened. Usage: node test_loading.mjs FOLDER, that of
// the test engine, whose open lasts until a file exists.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { library, noServer, pause, run } from "./server.mjs";

const { default: Redis } = library("ioredis");
const { createClient } = library("redis");

// Whether somebody listens there: a socket has its name before that.
const answers = (path) => new Promise((resolve) => {
  const socket = connect(path);
  socket.once("connect", () => resolve(socket.destroy() !== null));
  socket.once("error", () => resolve(false));
});

// A test that gets the Unix socket of a server that loads, and how to let it finish. (It says its port
// only when it is ready.)
const whileLoading = (test) => async () => {
  const folder = mkdtempSync(join(tmpdir(), "kvs-clients-"));
  const [path, gate] = [join(folder, "socket"), join(folder, "gate")];
  const child = spawn(process.env.KVS_TEST_SERVER, ["--addr", `unix:${path}`, "--data-dir",
    join(folder, "data"), "--engine", "test", "--plugin-dir", process.argv[2], "--engine-opt",
    `open-gate=${gate}`, "--log-level", "error"], { stdio: ["ignore", "ignore", "inherit"] });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const open = () => writeFileSync(gate, "");
  try {
    while (!(await answers(path)) && child.exitCode === null) await pause(5);
    await test(path, open);
  } finally {
    open();
    child.kill("SIGTERM");
    assert.equal(await ended, 0);
    rmSync(folder, { recursive: true, force: true });
  }
};

await run({
  "ioredis is ready only afterwards": whileLoading(async (path, open) => {
    const client = new Redis({ path, maxLoadingRetryTime: 50 });
    client.on("error", () => {});
    const seen = [];
    client.on("ready", () => seen.push("ready"));
    client.on("close", () => seen.push("close"));
    const answer = client.set("k", "v").then((reply) => seen.push(reply));
    const other = new Redis({ path, enableReadyCheck: false });
    assert.match(await other.info("persistence"),
      /loading:1\r\n(.*\r\n)*loading_eta_seconds:[1-9]\d*\r\n/);
    await assert.rejects(other.get("k"), /^ReplyError: LOADING /);
    // It asked more than once, on one connection.
    const polls = async () => Number(
      /cmdstat_info:calls=(\d+)/.exec(await other.info("commandstats"))[1]);
    const before = await polls();
    while ((await polls()) < before + 20) await pause(20);
    assert.deepEqual(seen, []);
    open();
    await answer;
    assert.deepEqual(seen, ["ready", "OK"]);
    assert.equal(await other.get("k"), "v"); // the connection that was refused a command works
    client.disconnect();
    other.disconnect();
  }),

  ...Object.fromEntries([2, 3].map((version) => [
    `node-redis is told, and keeps its connection (RESP${version})`,
    whileLoading(async (path, open) => {
      const client = createClient({
        socket: { path, reconnectStrategy: false }, RESP: version,
      });
      client.on("error", () => {});
      await client.connect();
      const id = await client.clientId();
      await assert.rejects(client.get("k"), /LOADING /);
      open();
      while (!/\nloading:0/.test(await client.info("persistence"))) await pause(10);
      assert.equal(await client.set("k", "v"), "OK");
      assert.equal(await client.clientId(), id);
      client.destroy();
    }),
  ])),
}, noServer);
