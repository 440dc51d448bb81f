// Starts every function of a built deployment as the platform does, and has it answer.
//
//   node run-functions.mjs FOLDER          FOLDER/.vercel/output was made by `vercel build`
//
// The platform gives a function a unix socket in VERCEL_IPC_PATH, on which it says that it is there and when an
// invocation is over, in JSON frames that end in NUL; requests come over HTTP and carry two internal headers that the
// frames are tied to. This is what vercel_runtime 2.4.1 speaks (https://docs.rs/vercel_runtime/2.4.1, src/ipc).

import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

import { functionsOf, pathsOf, routeOf } from "./output.mjs";

/** How long anything may take before it counts as never, in milliseconds. Far above what is seen: a few milliseconds. */
const PATIENCE = 10_000;

const SECRET = "a-secret-of-the-packaging-check";

/** Every setting that the functions ask for; nothing listens where they point. */
const SETTINGS = {
  SUPABASE_URL: "http://127.0.0.1:9",
  SUPABASE_SECRET_KEY: "sb_secret_packaging",
  SUPABASE_PUBLISHABLE_KEY: "sb_publishable_packaging",
  STRIPE_SECRET_KEY: "rk_test_packaging",
  RECONCILE_SECRET: SECRET,
  MONITOR_SECRET: SECRET,
  CRON_SECRET: SECRET,
  METRICS_SECRET: SECRET,
  STRIPE_WEBHOOK_SECRET: "whsec_packaging",
};

/** What answers without any setting, and how. */
const OPEN = { "/api/health": 200, "/api/not-found": 404 };

/** What is opened by a signature in the place of a token, and what it answers without one. */
const SIGNED = { "/api/stripe/events": 400 };

/** A running function, its frames, and its standard output. */
class Running {
  constructor(executable, settings) {
    this.folder = mkdtempSync(path.join(tmpdir(), "billing-ops-"));
    this.executable = executable;
    this.settings = settings;
    this.frames = [];
    this.output = "";
    this.waiting = new Set();
    this.requests = 0;
  }

  async start() {
    const socket = path.join(this.folder, "ipc.sock");
    this.server = net.createServer((connection) => {
      let rest = "";
      connection.setEncoding("utf8").on("data", (text) => {
        const parts = (rest + text).split("\0");
        rest = parts.pop();
        for (const part of parts) this.frames.push(JSON.parse(part));
        this.wake();
      });
    });
    this.server.listen(socket);
    await once(this.server, "listening");
    const port = await freePort();
    // No PATH, no HOME: a function image promises neither.
    const env = { ...this.settings, VERCEL_IPC_PATH: socket, VERCEL_DEV_PORT: String(port) };
    const began = performance.now();
    this.process = spawn(this.executable, [], { env, cwd: path.dirname(this.executable) });
    this.process.on("exit", () => this.wake());
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        this.output += text;
        this.wake();
      });
    }
    const started = await this.until("a server-started frame", () => this.frames.find((frame) => frame.type === "server-started"));
    this.startedAfter = performance.now() - began;
    expect(started.payload.httpPort === port, `httpPort is ${started.payload.httpPort}, not ${port}`);
    this.port = port;
  }

  /** Sends a request as the platform does, and waits for its end frame and its line in the log. */
  async call(method, route, headers = {}) {
    const invocation = randomUUID();
    const number = ++this.requests;
    const requestId = randomUUID();
    const answer = await request(this.port, method, route, {
      "x-vercel-internal-invocation-id": invocation,
      "x-vercel-internal-request-id": String(number),
      "x-request-id": requestId,
      ...headers,
    });
    const what = `${method} ${route}`;
    const end = await this.until(`the end frame of ${what}`, () =>
      this.frames.find((frame) => frame.type === "end" && frame.payload.context.invocationId === invocation),
    );
    expect(end.payload.context.requestId === number, `the end frame of ${what} names another request`);
    expect(!end.payload.error, `the end frame of ${what} carries an error`);
    expect(answer.headers["x-request-id"] === requestId, `${what} does not give its request id back`);
    expect(answer.headers["cache-control"] === "no-store", `${what} may be cached`);
    if (method !== "OPTIONS") {
      expect(answer.body.request_id === requestId, `the body of ${what} has no request id`);
      const line = await this.until(`the log line of ${what}`, () =>
        this.output.split("\n").find((text) => text.includes(requestId)),
      );
      expect(JSON.parse(line).message === "request", `the log line of ${what} is not the request's`);
    }
    return answer;
  }

  /** Asks it to end, as the platform does, and waits until it has. */
  async stop() {
    this.process.kill("SIGTERM");
    await this.until("the end of the process", () => this.process.exitCode !== null || this.process.signalCode !== null);
    expect(this.process.exitCode === 0, `it ended with ${this.process.exitCode ?? this.process.signalCode} after SIGTERM`);
    expect(!this.output.includes(SECRET) && !this.output.includes("sb_secret_"), "a secret is in its output");
  }

  dispose() {
    this.process?.kill("SIGKILL");
    this.server?.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  wake() {
    for (const look of [...this.waiting]) look();
  }

  /** Waits until `find` finds something; frames, output and the process's end wake it. */
  until(what, find) {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = find();
        const dead = !found && this.process.exitCode !== null;
        if (!found && !dead) return;
        clearTimeout(timer);
        this.waiting.delete(look);
        if (found) resolve(found);
        else reject(new Error(`it died before ${what}: ${this.output}`));
      };
      const timer = setTimeout(() => {
        this.waiting.delete(look);
        reject(new Error(`${what} did not come within ${PATIENCE} ms: ${this.output}`));
      }, PATIENCE);
      this.waiting.add(look);
      look();
    });
  }
}

function expect(holds, otherwise) {
  if (!holds) throw new Error(otherwise);
}

async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

function request(port, method, route, headers) {
  return new Promise((resolve, reject) => {
    const outgoing = http.request({ host: "127.0.0.1", port, method, path: route, headers, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part) => (text += part));
      response.on("end", () => {
        const body = text && JSON.parse(text);
        resolve({ status: response.statusCode, headers: response.headers, body });
      });
      response.on("error", reject);
    });
    outgoing.on("error", reject).setTimeout(PATIENCE, () => outgoing.destroy(new Error(`${method} ${route}: no answer`)));
    outgoing.end();
  });
}

/** Starts a function with the given settings, has `check` talk to it, and ends it. */
async function run(executable, settings, check) {
  const running = new Running(executable, settings);
  try {
    await running.start();
    await check(running);
    await running.stop();
    return running.startedAfter;
  } finally {
    running.dispose();
  }
}

async function checkFunction({ name, executable }) {
  for (const path of pathsOf(`/${routeOf(name)}`, randomUUID())) await checkPath(path, executable);
}

async function checkPath(route, executable) {
  const isOpen = route in OPEN;
  const isPublic = isOpen || route === "/api/config";

  // Without settings everything is closed, and says which setting is missing; only health answers.
  const after = await run(executable, {}, async (running) => {
    const options = await running.call("OPTIONS", route);
    expect(options.status === 204, `OPTIONS ${route} answers ${options.status}`);
    const methods = options.headers.allow.split(", ");
    const refused = await running.call("TRACE", route);
    expect(refused.status === 405 && refused.headers.allow === options.headers.allow, `TRACE ${route} answers ${refused.status}`);
    for (const method of methods.filter((method) => method !== "OPTIONS" && method !== "HEAD")) {
      const answer = await running.call(method, route);
      const expected = OPEN[route] ?? 503;
      expect(answer.status === expected, `${method} ${route} without settings answers ${answer.status}`);
      if (!isOpen) expect(answer.body.code === "not_configured", `${method} ${route}: ${answer.body.code}`);
    }
  });

  // With settings, who brings no credentials is refused before anything else is asked.
  await run(executable, SETTINGS, async (running) => {
    const { headers } = await running.call("OPTIONS", route);
    const method = headers.allow.split(", ")[0];
    const answer = await running.call(method, route);
    const refused = SIGNED[route] ?? 401;
    const expected = OPEN[route] ?? (isPublic ? 200 : refused);
    expect(answer.status === expected, `${method} ${route} without credentials answers ${answer.status}`);
    if (isPublic) return;
    const wrong = await running.call(method, route, { authorization: "Bearer not-the-secret-at-all" });
    expect(wrong.status === refused, `${method} ${route} with a wrong secret answers ${wrong.status}`);
  });
  console.log(`ok   ${route.padEnd(72)} ready after ${after.toFixed(1)} ms`);
}

const functions = functionsOf(process.argv[2]);
expect(functions.length > 0, "no function was built");
for (const one of functions) {
  try {
    await checkFunction(one);
  } catch (error) {
    console.error(`FAIL ${one.name}: ${error.message}`);
    process.exitCode = 1;
  }
}
