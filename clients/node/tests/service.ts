// The built service as a process of its own, with the stub browser.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { type ReachOptions, Runner } from '../src/index.js';

export const PACKAGE = fileURLToPath(new URL('../../', import.meta.url));
const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const PROGRAM = process.env.COMET_TASK_RUNNER_BIN ?? `${ROOT}target/debug/comet-task-runner`;
const STUB = process.env.COMET_TASK_RUNNER_STUB ?? `${ROOT}target/tmp/stub_browser`;

/** Why no service can be started here. */
export const missing = [PROGRAM, STUB].filter((file) => !existsSync(file)).map((file) => `${file} is not built`)[0] ?? false;
if (missing !== false && process.env.CI === 'true') throw new Error(missing);

/** A URL that the stub browser acts on. */
export const stubUrl = (path: string) => `http://stub.test${path}`;

export class Service {
  /** Short, as the paths of sockets below it must be. */
  readonly #home = mkdtempSync('/tmp/cnode-');
  readonly #runners: Runner[] = [];
  #child: ChildProcess | undefined;
  #log = '';
  #address = '';

  constructor(private readonly args: string[] = []) {
    mkdirSync(`${this.#home}/r`);
  }

  get stateDir(): string {
    return `${this.#home}/s`;
  }

  get address(): string {
    return this.#address;
  }

  get token(): string {
    return readFileSync(`${this.stateDir}/token`, 'utf8').trim();
  }

  get log(): string {
    return this.#log;
  }

  /** On the same state each time, and on another port. */
  async start(): Promise<this> {
    const args = ['serve', '--listen', '127.0.0.1:0', '--state-dir', this.stateDir, '--browser', `stub=${STUB},exit-only`, ...this.args];
    const { DISPLAY: _, WAYLAND_DISPLAY: __, ...env } = process.env;
    const child = spawn(PROGRAM, args, { env: { ...env, COMET_TASK_RUNNER_RUN_DIR: `${this.#home}/r` }, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    child.stderr.on('data', (text) => { this.#log += String(text); });
    for await (const line of createInterface(child.stdout)) {
      if (!line.startsWith('listening on ')) continue;
      this.#address = line.slice('listening on '.length);
      return this;
    }
    throw new Error(`the service did not start:\n${this.#log}`);
  }

  /** A runner on its state directory, which is closed with it. */
  async runner(reach: ReachOptions = { stateDir: this.stateDir }): Promise<Runner> {
    const runner = await Runner.connect(reach);
    this.#runners.push(runner);
    return runner;
  }

  async stop(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }

  /** Ends it and all that it started. */
  async remove(): Promise<void> {
    for (const runner of this.#runners) runner.close();
    await this.stop('SIGKILL');
    for (const pid of this.#shims()) try { process.kill(pid, 'SIGKILL'); } catch { /* It has left by itself. */ }
    rmSync(this.#home, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
  }

  /** The parents of its browsers, which end with them. */
  #shims(): number[] {
    const jobs = readdirSync(`${this.#home}/r`).flatMap((run) => readdirSync(`${this.#home}/r/${run}`).map((job) => `${this.#home}/r/${run}/${job}/id`));
    const pids = jobs.filter((id) => existsSync(id)).map((id) => /"pid":\s*(\d+)/.exec(readFileSync(id, 'utf8'))?.[1]);
    return pids.filter((pid) => pid !== undefined).map(Number);
  }
}
