// A kvs-server of this build for the suites with Node.js clients; the counterpart of server.py.
// Each suite is run as: node SUITE.mjs ENGINE, or with "HOST:PORT" to talk to a server that runs
// already. The clients come from the folder KVS_TEST_NODE_MODULES.

import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const SKIPPED = 77; // what Meson takes for "not run"
const WAIT_MS = 30000;

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export function skip(reason) {
  console.log(`skipped: ${reason}`);
  process.exit(SKIPPED);
}

// The client library of this name, or the end of the suite.
export function library(name) {
  const folder = process.env.KVS_TEST_NODE_MODULES ?? "";
  try {
    return createRequire(join(folder, "x.js"))(name);
  } catch {
    return skip(`${name} is not installed in ${folder} (npm ci; see tools/setup.sh)`);
  }
}

async function start(engine) {
  const folder = mkdtempSync(join(tmpdir(), "kvs-clients-"));
  const path = join(folder, "log");
  const log = openSync(path, "a");
  const child = spawn(
    process.env.KVS_TEST_SERVER,
    ["--addr", "127.0.0.1:0", "--engine", engine, "--data-dir", join(folder, "data"), "--sync",
      "none", "--checkpoint-dir", join(folder, "checkpoints"),
      ...(engine === "log" ? ["--engine-opt", "segment-size=4m"] : [])],
    { stdio: ["ignore", "ignore", log] },
  );
  closeSync(log);
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const stop = async () => {
    child.kill("SIGTERM");
    const status = await Promise.race([ended, pause(WAIT_MS)]);
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
    if (status !== 0) throw new Error(`kvs-server ended with ${status}`);
  };
  for (const end = Date.now() + WAIT_MS; ; await pause(10)) {
    const text = readFileSync(path, "utf8");
    const found = /listens on (?:[^,;]*,)*?127\.0\.0\.1:(\d+)/.exec(text);
    if (found) return { host: "127.0.0.1", port: Number(found[1]), stop };
    if (child.exitCode !== null || Date.now() > end) {
      child.kill("SIGKILL");
      throw new Error(`kvs-server did not start:\n${text}`);
    }
  }
}

// Runs { name: async (server) => ... } one after the other against one server; with noServer, tests
// that have their own.
export const noServer = { stop: async () => {} };
export async function run(tests, given) {
  const target = process.argv[2] ?? "log";
  const [host, port] = target.split(":");
  const server = given ?? (port
    ? { host, port: Number(port), stop: async () => {} }
    : await start(target));
  let failed = 0;
  for (const [name, test] of Object.entries(tests)) {
    const late = pause(WAIT_MS).then(() => {
      throw new Error("it takes too long");
    });
    late.catch(() => {});
    try {
      await Promise.race([test(server), late]);
      console.log(`ok ${name}`);
    } catch (error) {
      failed++;
      console.log(`FAILED ${name}: ${error.stack}`);
    }
  }
  try {
    await server.stop();
  } catch (error) {
    failed++;
    console.log(`FAILED to stop: ${error.message}`);
  }
  process.exit(failed > 0 ? 1 : 0);
}
