// The built service as a process of its own, spoken to in JSON.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

/** The repository. */
export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
export const PROGRAM = process.env.COMET_TASK_RUNNER_BIN ?? `${ROOT}target/debug/comet-task-runner`;
/** Longest wait for anything that is said to happen: many times what a busy machine needs. */
export const SOON_MS = 60_000;
/** Short, as the paths of sockets below it must be. */
const HOME = '/tmp/ctr-page';
/** Tries to remove it: ten seconds, many times what a killed browser needs. */
const WIPES_MAX = 200;

export class Service {
  #home = mkdtempSync(HOME);
  #args;
  #env;
  #child;
  #log = '';
  port = 0;
  link = '';

  /** With these arguments and variables beside those that every service here needs. */
  constructor({ args = [], env = {} } = {}) {
    this.#args = args;
    this.#env = env;
    mkdirSync(`${this.#home}/r`);
  }

  /** On the same port and state each time. */
  async start() {
    this.port ||= await freePort();
    const args = ['serve', '--listen', `127.0.0.1:${this.port}`, '--state-dir', `${this.#home}/s`, ...this.#args];
    if (process.getuid() === 0) args.push('--no-sandbox');
    const { DISPLAY: _, WAYLAND_DISPLAY: __, ...inherited } = process.env;
    const env = { ...inherited, COMET_TASK_RUNNER_RUN_DIR: `${this.#home}/r`, ...this.#env };
    this.#child = spawn(PROGRAM, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child.stderr.on('data', (text) => { this.#log += String(text); });
    for await (const line of createInterface(this.#child.stdout)) {
      if (!line.startsWith('page: ')) continue;
      this.link = line.slice('page: '.length);
      return this;
    }
    throw new Error(`the service did not start:\n${this.#log}`);
  }

  async stop(signal = 'SIGTERM') {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }

  /** Ends it and all that it started. */
  async remove() {
    await this.stop();
    for (const pid of this.#shims()) try { process.kill(pid, 'SIGKILL'); } catch { /* It has left by itself. */ }
    // A browser that is on its way out writes to its profile until its last moment, and tells nobody when that was.
    for (let left = WIPES_MAX; ; left -= 1) {
      try {
        return rmSync(this.#home, { recursive: true, force: true });
      } catch (error) {
        if (left === 0) throw error;
        await new Promise((next) => setTimeout(next, 50));
      }
    }
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  get token() {
    return readFileSync(`${this.#home}/s/token`, 'utf8').trim();
  }

  get log() {
    return this.#log;
  }

  /** The answer to a call with one. */
  async call(method, request) {
    const response = await this.#post(method, request);
    const answer = await response.json();
    if (!response.ok) throw Object.assign(new Error(`${method}: ${answer.message}`), { reason: answer.details?.[0]?.reason });
    return answer;
  }

  /** The messages of a call with a stream of them, as they come. */
  async *stream(method, request, deadlineMs = SOON_MS) {
    const response = await this.#post(method, request, deadlineMs);
    for await (const line of createInterface(Readable.fromWeb(response.body))) yield JSON.parse(line);
  }

  /** The job at its end. */
  async ended(taskId) {
    return this.when(taskId, (message) => message.final);
  }

  /** The latest job once a message of its watch is as wanted. */
  async when(taskId, wanted) {
    let job;
    for await (const message of this.stream('WatchJob', { taskId })) {
      job = message.job ?? job;
      if (wanted(message)) return job;
    }
    throw new Error(`${taskId} ended without what was waited for: ${JSON.stringify(job)}`);
  }

  #post(method, request, deadlineMs = SOON_MS) {
    return fetch(`${this.url}/comet.taskrunner.v1.TaskRunner/${method}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${this.token}` },
      body: JSON.stringify(request),
      signal: AbortSignal.timeout(deadlineMs),
    });
  }

  #shims() {
    const pids = [];
    for (const run of readdirSync(`${this.#home}/r`)) {
      for (const job of readdirSync(`${this.#home}/r/${run}`)) {
        const id = `${this.#home}/r/${run}/${job}/id`;
        const pid = existsSync(id) ? /"pid":\s*(\d+)/.exec(readFileSync(id, 'utf8'))?.[1] : undefined;
        if (pid !== undefined) pids.push(Number(pid));
      }
    }
    return pids;
  }
}

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
