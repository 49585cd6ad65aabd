// The page before the real service and real tasks, through its crashes and restarts.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import type { Locator, Page } from 'playwright-core';

import { beforeService, connection, missing, open, screenshot } from './support.ts';

const HOSTILE = '<img src=x onerror="document.title=1">';
const SCRIPTS = {
  '/done': 'cometTask.done({ invoices: 12 })',
  '/meanwhile': 'cometTask.done()',
  '/later': 'cometTask.fail("no paper")',
  '/hostile': `cometTask.fail(${JSON.stringify(`${HOSTILE}\u202e`)})`,
  '/stays': '',
};

describe('the page before the service', { skip: missing }, () => {
  const at = beforeService(SCRIPTS, { viewport: { width: 900, height: 640 } });

  async function enter(): Promise<Page> {
    const page = await open(at.context, at.service.link);
    await connection(page, 'Live');
    await page.evaluate(noteRevisions);
    return page;
  }

  async function execute(page: Page, path: string): Promise<Locator> {
    await page.getByLabel('Address to open').fill(at.pages.url(path));
    await page.keyboard.press('Enter');
    const row = page.locator('.job').filter({ hasText: path });
    await row.waitFor();
    return row;
  }

  const becomes = (row: Locator, word: string) => row.locator('.status').getByText(word, { exact: true }).waitFor();

  test('shows_a_task_yellow_and_then_green_without_asking', async () => {
    const page = await enter();
    const row = await execute(page, '/done');
    await becomes(row, 'Running');
    assert.match(await row.getAttribute('class') ?? '', /live/);
    await page.getByText(/MiB/).waitFor();
    await screenshot(page, 'service-running');
    at.pages.release('/done');
    await becomes(row, 'Done');
    assert.match(await row.getAttribute('class') ?? '', /good/);
    await row.getByText('The page reported that it is done.').waitFor();
    await screenshot(page, 'service-done');
    assert.deepEqual(await gaps(page), []);
    const asked = at.proxy.requests.filter((request) => !request.startsWith('GET '));
    const call = (method: string) => `POST /comet.taskrunner.v1.TaskRunner/${method}`;
    // Of the Executes only one starts something; the other ones look at what is being written.
    assert.deepEqual([...new Set(asked)].sort(), ['POST /session', call('Execute'), call('GetRunner'), call('WatchJobs')].sort());
    assert.deepEqual([at.proxy.calls('WatchJobs'), at.proxy.calls('GetRunner')], [1, 1]);
  });

  test('heals_after_a_crash_without_a_reload_a_login_or_a_missed_change', async () => {
    const page = await enter();
    const meanwhile = await execute(page, '/meanwhile');
    const later = await execute(page, '/later');
    await becomes(meanwhile, 'Running');
    await becomes(later, 'Running');
    await at.service.stop('SIGKILL');
    await connection(page, 'Not connected');
    // Said to the browser's keeper, which outlives the service.
    at.pages.release('/meanwhile');
    await at.service.start();
    await connection(page, 'Live');
    await becomes(meanwhile, 'Done');
    at.pages.release('/later');
    await becomes(later, 'Failed');
    await later.getByText('no paper').waitFor();
    assert.deepEqual(await gaps(page), []);
    assert.equal(at.proxy.requests.filter((request) => request === 'POST /session').length, 1);
    assert.ok(at.proxy.calls('WatchJobs') >= 2, 'the stream was opened again');
    assert.equal(at.proxy.requests.filter((request) => request === 'GET /').length, 1, 'the page was not loaded again');
    // A new tab sees the same as the one that lived through it.
    const fresh = await open(at.context, `http://127.0.0.1:${at.proxy.port}/`);
    await fresh.locator('.job').nth(1).waitFor();
    // At least as far: a browser's last words may come between one look and the other.
    await fresh.waitForFunction((lived) => {
      const rows = [...document.querySelectorAll<HTMLElement>('.job')];
      return rows.length === lived.length && rows.every(({ dataset }, at) => {
        const [task, revision] = (lived[at] ?? '').split(' ');
        return dataset.task === task && Number(dataset.revision) >= Number(revision);
      });
    }, await shown(page));
  });

  test('misses_no_change_while_it_is_cut_off', async () => {
    const page = await enter();
    const row = await execute(page, '/done');
    await becomes(row, 'Running');
    at.proxy.cut();
    await connection(page, 'Not connected');
    at.pages.release('/done');
    // Somebody whose connection holds sees the end.
    const nearby = await at.browser.newContext();
    await nearby.addInitScript((token) => localStorage.setItem('comet-task-runner.session', token), at.service.token);
    const other = await open(nearby, `http://127.0.0.1:${at.service.port}/`);
    await becomes(other.locator('.job'), 'Done');
    const last = (await shown(other))[0];
    assert.equal(await row.locator('.status').innerText(), 'Running', 'the page cannot know yet');
    at.proxy.mend();
    await becomes(row, 'Done');
    await nearby.close();
    assert.deepEqual(await gaps(page), []);
    assert.ok(Number((await shown(page))[0]?.split(' ')[1]) >= Number(last?.split(' ')[1]));
  });

  test('comes_back_to_a_service_that_was_restarted_in_order', async () => {
    const page = await enter();
    const row = await execute(page, '/done');
    await becomes(row, 'Running');
    await page.evaluate(noteStates);
    await at.service.stop('SIGTERM');
    await at.service.start();
    const said = await page.evaluate(() => (globalThis as unknown as { said: Promise<string[]> }).said);
    assert.ok(said.includes('The service is restarting'), said.join());
    at.pages.release('/done');
    await becomes(row, 'Done');
    assert.deepEqual(await gaps(page), []);
  });

  test('cancels_a_task', async () => {
    const page = await enter();
    const row = await execute(page, '/stays');
    await becomes(row, 'Running');
    await row.getByRole('button', { name: 'Cancel' }).click();
    await becomes(row, 'Cancelled');
    assert.equal(await row.getByRole('button', { name: /Cancel|Stopping/ }).count(), 0);
    await row.getByRole('button', { name: 'Run again' }).waitFor();
    assert.deepEqual(await gaps(page), []);
  });

  test('shows_hostile_words_of_a_task_as_words', async () => {
    const page = await enter();
    const row = await execute(page, '/hostile');
    at.pages.release('/hostile');
    await becomes(row, 'Failed');
    assert.equal(await row.locator('.message').textContent(), `${HOSTILE}\ufffd`);
    assert.equal(await page.locator('main img').count(), 0);
    assert.equal(await page.title(), '(1 failed) Comet Task Runner');
  });

  test('says_what_is_wrong_with_an_address_in_the_tenth_tab_too', async () => {
    await enter();
    const tabs = await Promise.all(Array.from({ length: 9 }, () => open(at.context, `http://127.0.0.1:${at.proxy.port}/`)));
    await Promise.all(tabs.map((tab) => connection(tab, 'Live')));
    const last = tabs[8] as Page;
    const asked = Date.now();
    await last.getByLabel('Address to open').fill('javascript:alert(1)');
    await last.keyboard.press('Enter');
    await last.getByRole('alert').filter({ hasText: /http/ }).waitFor();
    assert.ok(Date.now() - asked < 1000, `${Date.now() - asked} ms`);
    assert.equal(at.proxy.calls('WatchJobs'), 1);
    await screenshot(last, 'service-wrong-address');
  });
});

/** In the page: notes how often a row is drawn, and each time its revision does not come out at as many as were told of it. */
function noteRevisions(): void {
  const seen = { drawn: 0, gaps: [] as string[] };
  const note = (row: Element | null) => {
    if (!(row instanceof HTMLElement) || row.dataset.task === undefined) return;
    seen.drawn += 1;
    if (row.dataset.revision !== row.dataset.told) seen.gaps.push(`${row.dataset.task}: ${row.dataset.revision} after ${row.dataset.told} were told`);
  };
  new MutationObserver((records) => {
    for (const { type, target, addedNodes } of records) {
      if (type === 'attributes') note(target as Element);
      for (const node of addedNodes) if (node instanceof Element) for (const row of [node, ...node.querySelectorAll('.job')]) note(row);
    }
  }).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ['data-revision'] });
  Object.assign(globalThis, { seen });
}

/** Where a revision was drawn without each of those before it having been told. */
async function gaps(page: Page): Promise<string[]> {
  const { drawn, gaps: found } = await page.evaluate(() => (globalThis as unknown as { seen: { drawn: number; gaps: string[] } }).seen);
  assert.ok(drawn >= 2, 'changes were drawn');
  return found;
}

/** In the page: how the connection was said to stand, from now until it is live again. */
function noteStates(): void {
  const status = document.querySelector('[role=status]') as HTMLElement;
  const states: string[] = [];
  const said = new Promise<string[]>((resolve) => {
    new MutationObserver(() => {
      states.push(status.textContent ?? '');
      if (status.textContent === 'Live') resolve(states);
    }).observe(status, { subtree: true, childList: true, characterData: true });
  });
  Object.assign(globalThis, { said });
}

function shown(page: Page): Promise<string[]> {
  return page.locator('.job').evaluateAll((rows) => rows.map((row) => `${(row as HTMLElement).dataset.task} ${(row as HTMLElement).dataset.revision}`));
}
