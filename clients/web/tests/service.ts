// The built service as a process of its own, with a proxy before it that keeps a log of what browsers ask.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { createServer as createHttpServer, type ServerResponse } from 'node:http';
import { createInterface } from 'node:readline';

/** Short, as the paths of sockets below it must be. */
const HOME = '/tmp/ctw';
/** Tries to remove it: ten seconds, many times what a killed browser needs. */
const WIPES_MAX = 200;

export class Service {
  readonly #home = mkdtempSync(HOME);
  #child: ChildProcess | undefined;
  #log = '';
  link = '';

  constructor(private readonly program: string, readonly port: number, private readonly alias: number) {
    mkdirSync(`${this.#home}/r`);
  }

  /** On the same port and state each time. */
  async start(): Promise<void> {
    const args = ['serve', '--listen', `127.0.0.1:${this.port}`, '--state-dir', `${this.#home}/s`, '--host', `127.0.0.1:${this.alias}`, '--slots', '4'];
    if (process.getuid?.() === 0) args.push('--no-sandbox');
    const { DISPLAY: _, WAYLAND_DISPLAY: __, ...env } = process.env;
    const child = spawn(this.program, args, { env: { ...env, COMET_TASK_RUNNER_RUN_DIR: `${this.#home}/r` }, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    child.stderr.on('data', (text) => { this.#log += String(text); });
    for await (const line of createInterface(child.stdout)) {
      if (!line.startsWith('page: ')) continue;
      this.link = line.slice('page: '.length).replace(`:${this.port}/`, `:${this.alias}/`);
      return;
    }
    throw new Error(`the service did not start:\n${this.#log}`);
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
    await this.stop('SIGTERM');
    for (const pid of this.#shims()) try { process.kill(pid, 'SIGKILL'); } catch { /* It has left by itself. */ }
    await this.#wipe();
  }

  /** A browser that is on its way out writes to its profile until its last moment, and tells nobody when that was. */
  async #wipe(): Promise<void> {
    for (let left = WIPES_MAX; ; left -= 1) {
      try {
        return rmSync(this.#home, { recursive: true, force: true });
      } catch (error) {
        if (left === 0) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  /** Its API token. */
  get token(): string {
    return readFileSync(`${this.#home}/s/token`, 'utf8').trim();
  }

  get log(): string {
    return this.#log;
  }

  #shims(): number[] {
    const pids: number[] = [];
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

/** Passes bytes on to `port`, and notes each request by its first line. */
export class Proxy {
  readonly requests: string[] = [];
  #server: Server | undefined;
  readonly #open = new Set<Socket>();
  #isCut = false;
  port = 0;
  target = 0;

  async start(): Promise<this> {
    this.#server = createServer((browser) => {
      if (this.#isCut) return void browser.destroy();
      this.#open.add(browser);
      const service = connect(this.target, '127.0.0.1');
      browser.on('data', (bytes) => {
        for (const [, method, path] of bytes.toString('latin1').matchAll(/(?:^|\n)([A-Z]+) (\S+) HTTP\/1\.1\r/g)) {
          this.requests.push(`${method} ${path}`);
        }
      });
      // What one side does, the other shall see: an end as an end, a cut as a cut.
      browser.pipe(service).pipe(browser);
      browser.on('error', () => service.destroy());
      browser.on('close', () => {
        this.#open.delete(browser);
        service.destroy();
      });
      service.on('error', () => browser.destroy());
      service.on('close', () => browser.destroy());
    });
    this.port = await listenOnAnyPort(this.#server);
    return this;
  }

  /** How often a method of the service was called. */
  calls(method: string): number {
    return this.requests.filter((request) => request === `POST /comet.taskrunner.v1.TaskRunner/${method}`).length;
  }

  /** As when a cable is pulled: nothing gets through until it is mended. */
  cut(): void {
    this.#isCut = true;
    for (const browser of this.#open) browser.destroy();
  }

  mend(): void {
    this.#isCut = false;
  }

  stop(): void {
    this.#server?.close();
  }
}

/** Pages of tasks, each of which does its `script` once the test lets it go. */
export class Pages {
  #waiting = new Map<string, ServerResponse>();
  #released = new Set<string>();
  #server = createHttpServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://x');
    const name = searchParams.get('name') ?? '';
    if (pathname !== '/go') {
      response.setHeader('content-type', 'text/html; charset=utf-8');
      const script = this.scripts[pathname] ?? '';
      return void response.end(`<!doctype html><title>task</title><script>fetch('/go?name=' + encodeURIComponent(location.pathname)).then(() => { ${script} });</script>`);
    }
    if (this.#released.has(name)) response.end();
    else this.#waiting.set(name, response);
  });
  port = 0;

  constructor(private readonly scripts: Record<string, string>) {}

  async start(): Promise<this> {
    this.port = await listenOnAnyPort(this.#server);
    return this;
  }

  url(path: string): string {
    return `http://127.0.0.1:${this.port}${path}`;
  }

  release(path: string): void {
    this.#released.add(path);
    this.#waiting.get(path)?.end();
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listenOnAnyPort(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function listenOnAnyPort(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
