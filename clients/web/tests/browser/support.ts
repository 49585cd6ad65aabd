// A real browser with the page in it, and an ear for everything that it complains of.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';

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
