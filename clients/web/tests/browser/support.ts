// A real browser with the page in it, and an ear for everything that it complains of.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { after, afterEach, before, beforeEach } from 'node:test';
import { fileURLToPath } from 'node:url';

import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

import { Fake } from '../fake.ts';
import { freePort, Pages, Proxy, Service } from '../service.ts';

/** The repository. Tests run from clients/web. */
export const ROOT = fileURLToPath(new URL('../..', `file://${process.cwd()}/`));
export const DIST = `${process.cwd()}/dist`;
/** Longest wait for anything that is said to happen at once: many times what a busy machine needs. */
export const SOON = 20_000;

export const CHROMIUM = process.env.CHROMIUM ??
  ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/usr/bin/google-chrome-stable'].find((path) => existsSync(path));

export async function launch(): Promise<Browser> {
  assert.ok(CHROMIUM, 'there is a Chromium');
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return chromium.launch({ executablePath: CHROMIUM, args });
}

/** What all pages of a context said that nobody should have to read. */
export interface Complaints { errors: string[]; requests: string[] }

export function listen(context: BrowserContext): Complaints {
  const heard: Complaints = { errors: [], requests: [] };
  context.on('page', (page) => page.on('pageerror', (error) => heard.errors.push(String(error))));
  context.on('console', (message) => {
    // A cut connection is said by the browser itself.
    if (message.type() === 'error' && !/^Failed to load resource/.test(message.text())) heard.errors.push(message.text());
  });
  // Those of the shared worker too.
  context.on('request', (request) => heard.requests.push(`${request.method()} ${new URL(request.url()).pathname}`));
  return heard;
}

export async function open(context: BrowserContext, url: string): Promise<Page> {
  const page = await context.newPage();
  page.setDefaultTimeout(SOON);
  await page.goto(url);
  return page;
}

/** What a test finds: one browser for its whole file, the rest its own. */
export interface Stage { browser: Browser; context: BrowserContext; heard: Complaints }

/** One browser for the tests of a file or of a group. */
function inBrowser<T extends Stage>(): T {
  const at = {} as T;
  before(async () => { at.browser = await launch(); });
  after(() => at.browser.close());
  return at;
}

async function enterContext(at: Stage, options: BrowserContextOptions): Promise<void> {
  at.context = await at.browser.newContext(options);
  at.heard = listen(at.context);
}

/** A context with a session of the service at this address. */
export const signedIn = (url: string): BrowserContextOptions => (
  { storageState: { cookies: [], origins: [{ origin: url, localStorage: [{ name: 'comet-task-runner.session', value: 'good' }] }] } }
);

/** Each test begins before a service that `prepare` has made ready, and ends without a complaint. */
export function beforeFake(prepare: (fake: Fake) => void, options: (url: string) => BrowserContextOptions): Stage {
  const at = inBrowser<Stage>();
  let fake: Fake;
  beforeEach(async () => {
    fake = new Fake(DIST);
    prepare(fake);
    await fake.start();
    await enterContext(at, options(fake.url));
  });
  afterEach(async () => {
    await at.context.close();
    await fake.kill();
    assert.deepEqual(at.heard.errors, []);
  });
  return at;
}

export interface RealStage extends Stage { pages: Pages; proxy: Proxy; service: Service }

const PROGRAM = process.env.COMET_TASK_RUNNER_BIN ?? `${ROOT}target/debug/comet-task-runner`;
/** Why there is no real service to try the page with; false when there is one. */
export const missing = existsSync(PROGRAM) ? false : `${PROGRAM} is not built: cargo build`;

/** Each test begins before the real service, behind a proxy and with pages of these scripts, and ends without a complaint. */
export function beforeService(scripts: Record<string, string>, options: BrowserContextOptions): RealStage {
  if (missing && process.env.CI) throw new Error(missing);
  const at = inBrowser<RealStage>();
  beforeEach(async () => {
    at.pages = await new Pages(scripts).start();
    at.proxy = await new Proxy().start();
    at.service = new Service(PROGRAM, await freePort(), at.proxy.port);
    at.proxy.target = at.service.port;
    await enterContext(at, options);
    await at.service.start();
  });
  afterEach(async (test) => {
    await at.context.close();
    at.pages.stop();
    at.proxy.stop();
    await at.service.remove();
    assert.deepEqual(at.heard.errors, [], `${test.name}\n${at.service.log}`);
  });
  return at;
}

/** How the connection stands, in the page's words. */
export async function connection(page: Page, words: string): Promise<void> {
  await page.getByRole('status').filter({ hasText: words }).first().waitFor();
}

export async function screenshot(page: Page, name: string): Promise<void> {
  mkdirSync(`${ROOT}screenshots`, { recursive: true });
  for (const scheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.screenshot({ path: `${ROOT}screenshots/page-${name}-${scheme}.png` });
  }
}
