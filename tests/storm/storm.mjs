// Twenty tasks, followed by a Python, a Node.js and a Rust client and by the page, while the service is killed five
// times: each of them has to end with every change of every task, once and in order.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';

const TASKS = 20;
const KILLS = 5;
/** Longest wait for a stretch of the storm, on a machine that is busy with other things. */
const STRETCH_MS = 60_000;

const root = new URL('../../', import.meta.url).pathname;
const { chromium } = createRequire(new URL('../../clients/web/package.json', import.meta.url))('playwright-core');
const program = resolve(root, process.env.COMET_TASK_RUNNER_BIN ?? 'target/debug/comet-task-runner');
const stub = `${root}target/tmp/stub_browser`;
/** Short, as the paths of sockets below it must be. */
const home = mkdtempSync('/tmp/cts');
const service = { child: undefined, link: '', port: await freePort() };

async function start() {
  const args = ['serve', '--listen', `127.0.0.1:${service.port}`, '--state-dir', `${home}/s`, '--slots', '8', '--browser', `stub=${stub},exit-only`];
  const { DISPLAY: _, WAYLAND_DISPLAY: __, ...env } = process.env;
  const child = spawn(program, args, { env: { ...env, COMET_TASK_RUNNER_RUN_DIR: `${home}/r` }, stdio: ['ignore', 'pipe', 'ignore'] });
  service.child = child;
  for await (const line of createInterface(child.stdout)) {
    if (!line.startsWith('page: ')) continue;
    service.link = line.slice('page: '.length);
    return;
  }
  throw new Error('the service did not start');
}

async function stop(signal) {
  const { child } = service;
  service.child = undefined;
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

/** One call, as JSON; made again while the service is away. */
async function call(method, request) {
  for (;;) {
    try {
      const response = await fetch(`http://127.0.0.1:${service.port}/comet.taskrunner.v1.TaskRunner/${method}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${readFileSync(`${home}/s/token`, 'utf8').trim()}`, 'content-type': 'application/json' },
        body: JSON.stringify(request),
      });
      const text = await response.text();
      assert.ok(response.ok, text);
      return text.trim().split('\n').map((line) => JSON.parse(line));
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      await new Promise((done) => setTimeout(done, 50));
    }
  }
}

/** A client in processes of its own: what it was told of each task, as `revision status`. */
class Follower {
  told = new Map();
  count = 0;
  /** On standard error: of each cut, and of what went wrong. */
  said = '';
  #waiting = [];

  constructor(name, command, runs, read = (line) => line) {
    this.name = name;
    const env = { ...process.env, COMET_TASK_RUNNER_STATE_DIR: `${home}/s`, PYTHONPATH: `${root}clients/python/src` };
    this.children = runs.map((args) => spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] }));
    for (const child of this.children) createInterface(child.stdout).on('line', (line) => this.#hear(read(JSON.parse(line))));
    for (const child of this.children) child.stderr.on('data', (text) => { this.said += String(text); });
    this.ended = Promise.all(this.children.map(async (child) => {
      const [code] = await once(child, 'close');
      return code;
    }));
  }

  #hear(change) {
    if (!change) return;
    this.told.set(change.task, [...(this.told.get(change.task) ?? []), `${change.revision} ${change.status}`]);
    this.count += 1;
    this.#waiting = this.#waiting.filter(({ count, done }) => this.count < count || (done(), false));
  }

  /** Once it has been told so much. */
  until(count) {
    return this.count >= count ? Promise.resolve() : soon(new Promise((done) => this.#waiting.push({ count, done })), `change ${count} for ${this.name}`);
  }
}

async function soon(promise, what) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`still waiting for ${what}`)), STRETCH_MS); });
  try { return await Promise.race([promise, late]); } finally { clearTimeout(timer); }
}

async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** The page in a real browser, and what it complained of. */
async function openPage() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: process.getuid() === 0 ? ['--no-sandbox'] : [] });
  const page = await browser.newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => { if (/missed a change|the page failed/.test(message.text())) complaints.push(message.text()); });
  await page.goto(service.link);
  return { browser, page, complaints };
}

/** What the page tells of a task's whole history. */
async function told(page, taskId) {
  await page.goto(`http://127.0.0.1:${service.port}/#/tasks/${taskId}`);
  await page.locator(`ol.changes li[data-revision="2"]`).waitFor({ timeout: STRETCH_MS });
  return page.locator('ol.changes li[data-revision]').evaluateAll((items) => items.map((item) => Number(item.dataset.revision)));
}

/** A line of `watch --json`. */
function changeOf({ kind, job }) {
  return kind === 'CHANGE' && job ? { task: job.taskId, revision: Number(job.revision), status: job.status } : undefined;
}

/** Ends what still runs, since a service that leaves in peace ends nothing. */
async function cancelAll() {
  const [{ jobs = [] }] = await call('ListJobs', {});
  for (const job of jobs) if (!job.done) await call('CancelJob', { taskId: job.taskId, force: true });
}

const followers = [];
let opened;
try {
  mkdirSync(`${home}/r`);
  await start();
  opened = await openPage();
  const taskIds = await Promise.all(Array.from({ length: TASKS }, async () => (await call('Execute', { url: 'http://stub.test/sleep', requestId: crypto.randomUUID() }))[0].taskId));
  followers.push(
    new Follower('Python', `${root}target/tools/python-client/bin/python`, [[`${root}tests/storm/follow.py`, ...taskIds]]),
    new Follower('Node.js', process.execPath, [[`${root}tests/storm/follow.mjs`, ...taskIds]]),
    new Follower('Rust', program, taskIds.map((taskId) => ['watch', '--json', '--from-start', taskId]), changeOf),
  );
  await Promise.all(followers.map((follower) => follower.until(TASKS)));
  await opened.page.locator('[data-task]').first().waitFor({ timeout: STRETCH_MS });

  for (let kill = 0; kill < KILLS; kill += 1) {
    const share = taskIds.slice((kill * TASKS) / KILLS, ((kill + 1) * TASKS) / KILLS);
    // Half of them are under way when the service dies, and half are asked for while it is not there.
    const before = share.slice(0, 2).map((taskId) => call('CancelJob', { taskId }));
    await stop('SIGKILL');
    const after = share.slice(2).map((taskId) => call('CancelJob', { taskId, force: true }));
    await start();
    await soon(Promise.all([...before, ...after]), 'the calls that were cut');
  }
  await soon(Promise.all(followers.map((follower) => follower.ended)), 'the end of all clients');

  let changes = 0;
  for (const taskId of taskIds) {
    const truth = (await call('WatchJob', { taskId, fromStart: true })).map(({ job }) => `${job.revision} ${job.status}`);
    assert.deepEqual(truth.map((words) => Number.parseInt(words, 10)), truth.map((_, n) => n + 1));
    changes += truth.length;
    for (const follower of followers) assert.deepEqual(follower.told.get(taskId), truth, `${follower.name} of ${taskId}\n${follower.said}`);
    const onPage = await told(opened.page, taskId);
    assert.deepEqual(onPage.slice(0, truth.length), truth.map((_, n) => n + 1), `the page of ${taskId}`);
    assert.deepEqual(onPage, onPage.map((_, n) => n + 1), `the page of ${taskId}`);
  }
  assert.deepEqual(opened.complaints, []);
  console.log(`${KILLS} kills; ${TASKS} tasks; ${changes} changes, each told once and in order to Python, Node.js, Rust and the page`);
} finally {
  for (const { children } of followers) for (const child of children) child.kill('SIGKILL');
  await opened?.browser.close();
  if (service.child) await cancelAll();
  await stop('SIGTERM');
  for (const run of readdirSync(`${home}/r`)) for (const job of readdirSync(`${home}/r/${run}`)) assert.fail(`${run}/${job} was left behind`);
  rmSync(home, { recursive: true, force: true, maxRetries: 10 });
}
