// A newcomer's way through README.md, timed: see newcomer.sh.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';

import { freePort, ROOT } from '../clients/page/tests/service.mjs';

const { chromium } = createRequire(`${ROOT}clients/page/package.json`)('playwright-core');
/** The URL that README.md opens. Here it is a page of ours, which says after a moment that it is done. */
const URL_OF_README = 'https://example.org/';
const PAGE = '<!doctype html><title>task</title><script>cometTask.progress(50); setTimeout(() => cometTask.done({ pages: 3 }), 500)</script>';
/** Longest wait for a step, the build included: a cold one takes five minutes of a processor. */
const STEP_MS = 30 * 60_000;
/** Longest wait for anything else. */
const SOON_MS = 60_000;
/** How much of a failed step's words is shown: its last ones say why. */
const WORDS_MAX = 2_000;
/** Tries to remove what a browser on its way out still writes to. */
const WIPES_MAX = 200;

const program = process.argv[2] === '--program' ? resolve(process.argv[3]) : undefined;
if (process.argv.length > 2 && !program) throw new Error('usage: tests/newcomer.sh [--program FILE]');

// Short, as the paths of sockets below it must be.
const home = mkdtempSync('/tmp/ctr-new');
const clone = `${home}/clone`;
const took = [];
const running = [];

/** Its blocks by their mark, in order. */
function marked(text) {
  const steps = new Map();
  for (const [, step, language, lines] of text.matchAll(/^<!-- newcomer: (\w+) -->\n```(\w+)\n(.*?)^```$/gms)) {
    steps.set(step, [...steps.get(step) ?? [], { language, lines }]);
  }
  return steps;
}

async function timed(step, work) {
  const started = performance.now();
  try {
    return await work();
  } finally {
    took.push([step, (performance.now() - started) / 1000]);
    console.log(`${step.padEnd(8)} ${took.at(-1)[1].toFixed(1).padStart(6)} s`);
  }
}

/** A person's shell: each block finds the directory and the variables that the one before left. */
class Shell {
  #state = `${home}/shell`;
  constructor(variables) {
    this.variables = variables;
  }

  spawn({ language, lines }, url) {
    const text = lines.replaceAll(URL_OF_README, url);
    const before = `cd '${clone}'; [ ! -e '${this.#state}' ] || . '${this.#state}'; set -a\n`;
    const after = `\n{ export -p; printf 'cd %q\\n' "$PWD"; } >'${this.#state}.new'; mv '${this.#state}.new' '${this.#state}'`;
    if (/^python/.test(language)) writeFileSync(`${home}/lines.py`, text);
    const script = /^python/.test(language) ? `python3 '${home}/lines.py'` : text;
    return spawn('bash', ['-euc', before + script + after], { env: this.variables, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  }

  async run(block, url) {
    const process = this.spawn(block, url);
    running.push(process);
    let said = '';
    for (const stream of [process.stdout, process.stderr]) stream.on('data', (text) => { said += text; });
    const timer = setTimeout(() => kill(process, 'SIGKILL'), STEP_MS);
    const [code] = await once(process, 'close');
    clearTimeout(timer);
    assert.equal(code, 0, `${block.lines}\nended with ${code}:\n${said.slice(-WORDS_MAX)}`);
    // What a person would copy from the answer.
    const task = /"taskId": "([^"]+)"/.exec(said)?.[1];
    if (task) this.variables.TASK = task;
    return said;
  }
}

function kill(process, signal) {
  // With all that it started: each has a group of its own.
  try { globalThis.process.kill(-process.pid, signal); } catch { /* It is gone. */ }
}

/** Starts the service, and gives the link that it prints. */
async function serve(shell, block) {
  const process = shell.spawn(block, '');
  running.push(process);
  let log = '';
  process.stderr.on('data', (text) => { log += text; });
  const timer = setTimeout(() => kill(process, 'SIGKILL'), SOON_MS);
  for await (const line of createInterface(process.stdout)) {
    if (!line.startsWith('page: ')) continue;
    clearTimeout(timer);
    return line.slice('page: '.length);
  }
  throw new Error(`the service did not start:\n${log}`);
}

/** What a person does in the page: open the link, type an address, press Enter, and see it turn green. */
async function useThePage(link, url) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: process.getuid() === 0 ? ['--no-sandbox'] : [] });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(SOON_MS);
    await page.goto(link);
    const address = page.getByRole('textbox', { name: /address|url|open/i }).first();
    await address.fill(url);
    await address.press('Enter');
    await page.waitForFunction(isGreen, new URL(url).pathname);
  } finally {
    await browser.close();
  }
}

/** Whether the word Done stands in green near this path. Runs in the page. */
function isGreen(path) {
  for (const word of document.querySelectorAll('body *')) {
    if (word.childElementCount > 0 || !/^done$/i.test(word.textContent.trim())) continue;
    const context = document.createElement('canvas').getContext('2d');
    context.fillStyle = getComputedStyle(word).color;
    context.fillRect(0, 0, 1, 1);
    const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
    if (green <= red || green <= blue) continue;
    // As far up as a row may reach: the page as a whole has every word.
    for (let near = word, up = 0; near && up < 6; near = near.parentElement, up += 1) {
      if (near !== document.body && near.textContent.includes(path)) return true;
    }
  }
  return false;
}

async function main(url) {
  await timed('clone', async () => execFileSync('git', ['clone', '--quiet', ROOT, clone]));
  const steps = marked(readFileSync(`${clone}/README.md`, 'utf8'));
  for (const step of ['build', 'serve']) assert.ok(steps.has(step), `README.md has no block behind <!-- newcomer: ${step} -->`);

  const { DISPLAY: _, WAYLAND_DISPLAY: __, ...inherited } = process.env;
  const port = await freePort();
  // A place and a port of its own; a sandbox is what root has to do without.
  const shell = new Shell({
    ...inherited,
    ADDR: `127.0.0.1:${port}`,
    COMET_TASK_RUNNER_LISTEN: `127.0.0.1:${port}`,
    COMET_TASK_RUNNER_STATE_DIR: `${home}/s`,
    COMET_TASK_RUNNER_RUN_DIR: `${home}/r`,
    ...(process.getuid() === 0 ? { COMET_TASK_RUNNER_NO_SANDBOX: 'true' } : {}),
  });
  mkdirSync(`${home}/r`);
  // Python as a person has it who is no administrator.
  execFileSync('python3', ['-m', 'venv', `${home}/python`]);
  shell.variables.PATH = `${home}/python/bin:${shell.variables.PATH}`;
  if (program) standIn(shell);

  const run = async (step) => {
    let said = '';
    for (const block of steps.get(step)) said += await shell.run(block, url);
    return said;
  };
  await timed(program ? 'no build' : 'build', () => run('build'));
  const link = await timed('serve', () => serve(shell, steps.get('serve')[0]));
  await timed('page', () => useThePage(link, url));
  const missing = ['grpcurl', 'python'].filter((step) => !steps.has(step));
  for (const step of ['grpcurl', 'python'].filter((step) => steps.has(step))) {
    const said = await timed(step, () => run(step));
    assert.match(said, /\bDONE\b/, `${step} never said DONE:\n${said}`);
  }
  console.log(`in all   ${took.reduce((sum, [, seconds]) => sum + seconds, 0).toFixed(1).padStart(6)} s`);
  if (missing.length > 0) throw new Error(`README.md has no block behind <!-- newcomer: ${missing.join()} -->`);
}

/** The given program lies where a build would leave it, and who would build does nothing. */
function standIn(shell) {
  for (const profile of ['release', 'debug']) {
    mkdirSync(`${clone}/target/${profile}`, { recursive: true });
    copyFileSync(program, `${clone}/target/${profile}/comet-task-runner`);
  }
  mkdirSync(`${home}/bin`);
  for (const name of ['make', 'cargo']) {
    writeFileSync(`${home}/bin/${name}`, '#!/bin/sh\n');
    chmodSync(`${home}/bin/${name}`, 0o755);
  }
  shell.variables.PATH = `${home}/bin:${shell.variables.PATH}`;
}

const pages = createServer((_, response) => {
  response.setHeader('content-type', 'text/html');
  response.end(PAGE);
}).listen(0, '127.0.0.1');
await once(pages, 'listening');

async function tidy() {
  for (const process of running) {
    if (process.exitCode !== null || process.signalCode !== null) continue;
    const closed = once(process, 'close');
    kill(process, 'SIGTERM');
    await closed;
  }
  pages.closeAllConnections();
  pages.close();
  // Keepers of browsers that were kept open.
  for (const id of shims()) try { process.kill(id, 'SIGKILL'); } catch { /* It has left by itself. */ }
  for (let left = WIPES_MAX; ; left -= 1) {
    try {
      return rmSync(home, { recursive: true, force: true });
    } catch (error) {
      if (left === 0) throw error;
      await new Promise((next) => setTimeout(next, 50));
    }
  }
}

function shims() {
  if (!existsSync(`${home}/r`)) return [];
  const ids = readdirSync(`${home}/r`, { recursive: true }).filter((path) => path.endsWith('/id'));
  return ids.flatMap((path) => /"pid":\s*(\d+)/.exec(readFileSync(`${home}/r/${path}`, 'utf8'))?.[1] ?? []).map(Number);
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void tidy().then(() => process.exit(1)));
try {
  await main(`http://127.0.0.1:${pages.address().port}/newcomer`);
} catch (error) {
  console.error(`tests/newcomer.sh: ${error.message}`);
  process.exitCode = 1;
} finally {
  await tidy();
}
