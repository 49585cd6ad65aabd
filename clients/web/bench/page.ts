// How the list feels with 5,000 tasks of which 100 a second change, beside an empty page in the same browser. Prints a table.

import { existsSync, readFileSync } from 'node:fs';

import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';

import { Job_Reason as Reason, Job_Status as Status } from '../src/gen/comet/taskrunner/v1/task_runner_pb.ts';
import { Fake } from '../tests/fake.ts';
import { CAPABILITIES, ListFake } from '../tests/list-fake.ts';

const JOBS = 5000;
/** Of these so many are not over. */
const LIVE = 1000;
const CHANGES_PER_SECOND = 100;
/** Readings that come with each second's SAMPLE. */
const SAMPLES = 200;
const SECONDS = Number(process.env.BENCH_SECONDS ?? 20);
/** What the page is built to. */
const FRAME_P95_MS = 50;
const HEAP_MB = 150;
const PROCESS_MB = 150;

interface Reading { firstRowMs: number | undefined; frames: number; p50: number; p95: number; worst: number; heapMb: number; processMb: number; keptMb: number }

const executablePath = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/google-chrome'].find((path) => existsSync(path));
if (executablePath === undefined) throw new Error('there is no Chromium; say where in CHROMIUM');

const fake = new Fake(`${process.cwd()}/dist`);
new ListFake(fake);
const seconds = (ago: number) => ({ seconds: BigInt(Math.floor(Date.now() / 1000 - ago)), nanos: 0 });
const live: string[] = [];
for (let at = 0; at < JOBS; at += 1) make(at >= JOBS - LIVE);
await fake.start();

const browser = await chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
try {
  const floor = await measure(browser, `${fake.url}/empty`, () => {});
  const page = await measure(browser, `${fake.url}/`, load);
  print(floor, page);
} finally {
  await browser.close();
  await fake.kill();
}

/** One more job, as a busy day has them. */
function make(isLive: boolean): void {
  const number = fake.jobs.size;
  const status = isLive ? Status.RUNNING : number % 9 === 0 ? Status.FAILED : Status.DONE;
  const { taskId } = fake.change(fake.taskId(), {
    url: `https://shop.example.org/orders/${number}?from=bench`, status, labels: { env: number % 2 === 0 ? 'prod' : 'test', team: 'billing' },
    reason: isLive ? Reason.LAUNCHED : Reason.PAGE_CLOSED, createdAt: seconds(3600), startedAt: seconds(3500), isProcessAlive: isLive,
    browser: { name: 'chromium', version: 'Chrome/156.0.7200.1', headless: true, capabilities: CAPABILITIES }, host: 'bench', processId: 4242,
    ...(!isLive && { done: true, finishedAt: seconds(3000), exitCode: 0 }),
  });
  if (isLive) live.push(taskId);
}

/** One change: mostly another revision of a living job, and each fifth time an end and a beginning. */
function change(number: number): void {
  const at = (number * 7919) % live.length;
  const taskId = live[at] as string;
  if (number % 5 !== 0) return void fake.change(taskId, { message: `step ${number}` });
  fake.change(taskId, { status: Status.DONE, reason: Reason.CALLBACK, done: true, finishedAt: seconds(0), isProcessAlive: false });
  live.splice(at, 1);
  make(true);
}

/** Feeds the open page until the returned function is called. */
function load(): () => number {
  const began = Date.now();
  let changed = 0;
  let sampled = 0;
  const feed = setInterval(() => {
    const due = ((Date.now() - began) / 1000) * CHANGES_PER_SECOND;
    while (changed < due) change(changed++);
    if (Date.now() - began < sampled * 1000) return;
    sampled += 1;
    for (let at = 0; at < SAMPLES; at += 1) {
      fake.sample(live[live.length - 1 - at] as string, { pageTitle: `Order ${at}`, progress: (sampled * 5) % 100, processInfo: { cpuPercent: at % 90, memoryMb: 200 + at } });
    }
  }, 10);
  return () => {
    clearInterval(feed);
    return changed;
  };
}

async function measure(browser: Browser, url: string, begin: () => (() => number) | void): Promise<Reading> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  try {
    return await read(context, url, begin);
  } finally {
    await context.close();
  }
}

async function read(context: BrowserContext, url: string, begin: () => (() => number) | void): Promise<Reading> {
  await context.addInitScript(note);
  await context.addInitScript(() => localStorage.setItem('comet-task-runner.session', 'good'));
  await context.route('**/empty', (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>empty</title>' }));
  const page = await context.newPage();
  await page.goto(url);
  if (url.endsWith('/')) await page.locator('.job.live').first().waitFor();
  const stop = begin();
  await page.evaluate(() => { (globalThis as unknown as Noted).frames.length = 0; });
  // Somebody scrolls, too.
  for (let second = 0; second < SECONDS; second += 1) {
    await page.mouse.wheel(0, second % 2 === 0 ? 900 : -700);
    await page.waitForTimeout(1000);
  }
  const changed = stop?.();
  const noted = await page.evaluate(() => ({ frames: (globalThis as unknown as Noted).frames, firstRowMs: (globalThis as unknown as Noted).firstRowMs }));
  const frames = noted.frames.sort((a, b) => a - b);
  const at = (share: number) => frames[Math.min(frames.length - 1, Math.floor(frames.length * share))] ?? Infinity;
  if (changed !== undefined && changed < SECONDS * CHANGES_PER_SECOND * 0.95) throw new Error(`only ${changed} changes could be made`);
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Performance.enable');
  const { metrics } = await devtools.send('Performance.getMetrics');
  const heap = metrics.find(({ name }) => name === 'JSHeapUsedSize')?.value ?? NaN;
  // A spare one that waits for a page is smaller.
  const largest = async () => Math.max(...(await renderers(page)).map(pss));
  const processMb = await largest();
  await devtools.send('HeapProfiler.collectGarbage');
  return { firstRowMs: noted.firstRowMs, frames: frames.length, p50: at(0.5), p95: at(0.95), worst: at(1), heapMb: heap / 2 ** 20, processMb, keptMb: await largest() };
}

interface Noted { frames: number[]; firstRowMs: number | undefined }

/** In the page: notes how long each frame was, and when the first living row was there. */
function note(): void {
  const noted: Noted = { frames: [], firstRowMs: undefined };
  Object.assign(globalThis, noted);
  const kept = globalThis as unknown as Noted;
  let before = performance.now();
  const next = (now: number) => {
    kept.frames.push(now - before);
    before = now;
    if (kept.firstRowMs === undefined && document.querySelector('.job.live')) kept.firstRowMs = now;
    requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
}

/** The processes of all pages and workers. */
async function renderers(page: Page): Promise<number[]> {
  const devtools = await page.context().browser()?.newBrowserCDPSession();
  const told = await devtools?.send('SystemInfo.getProcessInfo');
  await devtools?.detach();
  return (told?.processInfo ?? []).filter(({ type }) => type === 'renderer').map(({ id }) => id);
}

/** What a process has to itself, and its share of what it shares, in MiB. */
function pss(pid: number): number {
  const kib = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1];
  return Number(kib) / 1024;
}

function print(floor: Reading, page: Reading): void {
  const row = (name: string, of: (reading: Reading) => number | undefined, unit: string, most?: number) => {
    const value = of(page);
    const text = (number: number | undefined) => (number === undefined ? '-' : `${number.toFixed(1)} ${unit}`).padStart(12);
    const judged = most === undefined || value === undefined ? '' : value <= most ? `  (at most ${most}: kept)` : `  (at most ${most}: MISSED)`;
    console.log(`${name.padEnd(26)}${text(of(floor))}${text(value)}${judged}`);
  };
  console.log(`${JOBS} tasks, ${LIVE} of them live, ${CHANGES_PER_SECOND} changes a second for ${SECONDS} s, scrolled meanwhile`);
  console.log(`${''.padEnd(26)}${'empty page'.padStart(12)}${'the list'.padStart(12)}`);
  row('first live row', ({ firstRowMs }) => firstRowMs, 'ms');
  row('frame, p50', ({ p50 }) => p50, 'ms');
  row('frame, p95', ({ p95 }) => p95, 'ms', FRAME_P95_MS);
  row('frame, longest', ({ worst }) => worst, 'ms');
  row('JavaScript heap', ({ heapMb }) => heapMb, 'MiB', HEAP_MB);
  row('process (PSS)', ({ processMb }) => processMb, 'MiB');
  row('process, garbage gone', ({ keptMb }) => keptMb, 'MiB', PROCESS_MB);
}
