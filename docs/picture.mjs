// Brings tasks into every state, and takes the page's picture, light and dark, into the directory that is given.
//
// Of the page it knows only that it takes a person's link, and shows the last word of each task's address.

import { createServer } from 'node:http';
import { once } from 'node:events';
import { createRequire } from 'node:module';

import { Service, SOON_MS } from '../clients/page/tests/service.mjs';

const { chromium } = createRequire(new URL('../clients/page/package.json', import.meta.url))('playwright-core');
const [into] = process.argv.slice(2);
/** As wide as a README shows it, and sharp on a good screen. */
const SIZE = { viewport: { width: 1280, height: 800 }, deviceScaleFactor: 2 };
/** A page can want a moment to draw its first readings; none of its events says that it did. */
const READINGS_MS = 3_000;

/** What there is to see, the oldest first: a browser takes any name below `localhost` for this machine. */
const TASKS = [
  { at: 'wiki', path: '/search?q=policy', script: '', timeouts: { run: '1s' }, becomes: 'TIMED_OUT' },
  { at: 'shop', path: '/orders/export', script: '', becomes: 'CANCELLED' },
  { at: 'reports', path: '/third-quarter', script: 'document.title = "Report for the third quarter"; cometTask.progress(80, "sheet 8 of 10")', becomes: 80 },
  { at: 'crm', path: '/customers/4711', script: 'cometTask.fail("no such customer")', becomes: 'FAILED' },
  { at: 'billing', path: '/invoices/march', script: 'cometTask.done({ invoices: 12, total: "4,811.20" })', becomes: 'DONE' },
  { at: 'billing', path: '/invoices/april', script: 'document.title = "Invoices for April"; cometTask.progress(35, "reading page 7 of 20")', becomes: 35 },
  { at: 'mail', path: '/inbox', script: '', becomes: 'CREATED' },
];

const pages = createServer((request, response) => {
  const host = request.headers.host.split('.')[0];
  const task = TASKS.find(({ at, path }) => at === host && path === request.url);
  response.setHeader('content-type', 'text/html; charset=utf-8');
  response.end(`<!doctype html><title>${host}</title><script>${task?.script ?? ''}</script>`);
}).listen(0, '127.0.0.1');
await once(pages, 'listening');

const service = await new Service({ args: ['--slots', '2', '--launches-max', '2'] }).start();
try {
  for (const task of TASKS) await bring(task);
  await picture();
} catch (error) {
  console.error(service.log);
  throw error;
} finally {
  await service.remove();
  pages.closeAllConnections();
  pages.close();
}

/** Starts a task, and waits until it stands where it shall. */
async function bring({ at, path, timeouts, becomes }) {
  const url = `http://${at}.localhost:${pages.address().port}${path}`;
  const { taskId } = await service.call('Execute', { url, timeouts, labels: { team: at }, mode: 'HEADLESS' });
  if (becomes === 'CANCELLED') await service.call('CancelJob', { taskId });
  const stands = ({ job, sample }) => (typeof becomes === 'number' ? sample?.progress === becomes : job?.status === becomes);
  await service.when(taskId, stands);
}

async function picture() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: process.getuid() === 0 ? ['--no-sandbox'] : [] });
  try {
    const page = await browser.newPage({ ...SIZE, colorScheme: 'light', reducedMotion: 'reduce', locale: 'en-GB' });
    page.setDefaultTimeout(SOON_MS);
    await page.goto(service.link);
    const words = TASKS.map(({ path }) => path.split(/[/=]/).at(-1));
    await page.waitForFunction((words) => words.every((word) => document.body.innerText.includes(word)), words);
    await page.waitForFunction(() => /\d MiB|\d MB/.test(document.body.innerText), undefined, { timeout: READINGS_MS }).catch(() => {});
    // The fields that a person has not touched.
    await page.evaluate(() => document.activeElement?.blur());
    await page.screenshot({ path: `${into}/dashboard.png` });
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.screenshot({ path: `${into}/dashboard-dark.png` });
  } finally {
    await browser.close();
  }
}
