// A job's own page before the real service and real tasks.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import type { Page } from 'playwright-core';

import { accessible, wholeScreenshot } from './job-support.ts';
import { beforeService, connection, missing, open } from './support.ts';

const HOSTILE = '<img src=x onerror="document.title=1">';
const SCRIPTS = {
  '/report': 'cometTask.done({ invoices: 12, total: "1,204.50" })',
  '/fails': 'cometTask.fail("no such customer")',
  '/stays': '',
  '/hostile': `console.log(${JSON.stringify(HOSTILE)}); cometTask.progress(7, ${JSON.stringify(HOSTILE)});
    const link = document.createElement('a'); link.href = URL.createObjectURL(new Blob(['whole\\n'])); link.download = 'report.txt'; link.click()`,
};

describe("a job's page before the service", { skip: missing }, () => {
  const at = beforeService(SCRIPTS, { viewport: { width: 1200, height: 900 } });

  /** The page of a new task, whose browser is up and shows its own page. */
  async function running(path: string): Promise<Page> {
    const page = await open(at.context, at.service.link);
    await connection(page, 'Live');
    const taskId = await execute(path);
    await page.goto(`http://127.0.0.1:${at.proxy.port}/#/tasks/${taskId}`);
    await page.getByText('The page is there (HTTP 200).').first().waitFor();
    return page;
  }

  async function execute(path: string): Promise<string> {
    const answer = await fetch(`http://127.0.0.1:${at.service.port}/comet.taskrunner.v1.TaskRunner/Execute`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${at.service.token}` },
      body: JSON.stringify({ url: at.pages.url(path), labels: { team: 'billing', run: 'nightly' } }),
    });
    const { taskId } = await answer.json() as { taskId: string };
    return taskId;
  }

  const panel = (page: Page, name: string) => page.getByRole('region', { name, exact: true });
  const act = (page: Page, name: string) => page.getByRole('group', { name: 'Actions' }).getByRole('button', { name });
  const becomes = (page: Page, word: string) => page.getByRole('heading', { name: new RegExp(`^${word}`) }).waitFor();

  test('follows_a_task_from_its_start_to_the_end_of_its_last_process', async () => {
    const page = await running('/report');
    await page.getByRole('img', { name: /^Memory since .*: now \d+ MiB/ }).waitFor();
    await panel(page, 'Log').getByRole('status').filter({ hasText: 'Live' }).waitFor();
    await act(page, 'Take screenshot').click();
    await panel(page, 'Picture').getByText(/Taken of its page at/).waitFor();
    await page.waitForFunction(() => (document.querySelector('.enlarge img') as HTMLImageElement).naturalWidth > 100);
    await accessible(page);
    await wholeScreenshot(page, 'running');
    at.pages.release('/report');
    await becomes(page, 'Done');
    await panel(page, 'Result').getByText('"invoices": 12').waitFor();
    await panel(page, 'What is known').getByText('Nothing left').waitFor();
    await panel(page, 'Log').getByText('Complete').waitFor();
    const told = await revisions(page);
    assert.deepEqual(told, told.map((_, at) => at + 1), 'every change once, in order');
    // Read anew, it is the same: nothing was missed while it was pushed.
    await page.reload();
    await panel(page, 'What is known').getByText('Nothing left').waitFor();
    await page.waitForFunction((count) => document.querySelectorAll('.changes [data-revision]').length === count, told.length);
    assert.deepEqual(await revisions(page), told);
    assert.equal(at.proxy.calls('WatchJobs') + at.proxy.calls('WatchJob') + at.proxy.calls('GetStatus') <= 6, true, at.proxy.requests.join('\n'));
  });

  test('shows_what_a_failed_task_showed_last_and_runs_it_again', async () => {
    const page = await running('/fails');
    at.pages.release('/fails');
    await becomes(page, 'Failed');
    await page.locator('.task-message').getByText('no such customer').waitFor();
    await panel(page, 'Picture').getByText('What the page showed last, before the end').waitFor();
    await page.waitForFunction(() => (document.querySelector('.enlarge img') as HTMLImageElement).naturalWidth > 100);
    await panel(page, 'Files').getByText('last.jpg').waitFor();
    await panel(page, 'What is known').getByText('Nothing left').waitFor();
    await accessible(page);
    await wholeScreenshot(page, 'failed');
    await page.setViewportSize({ width: 380, height: 800 });
    await wholeScreenshot(page, 'narrow');
    const first = page.url();
    await act(page, 'Run again').click();
    await page.waitForURL((url) => url.hash !== '' && url.href !== first);
    await becomes(page, 'Failed');
    await panel(page, 'What is known').getByText('billing', { exact: true }).waitFor();
    await panel(page, 'What is known').getByText('Nothing left').waitFor();
  });

  test('shows_the_words_of_a_hostile_page_as_words_and_saves_what_it_downloaded', async () => {
    const page = await running('/hostile');
    at.pages.release('/hostile');
    await panel(page, 'Log').getByText(HOSTILE).waitFor();
    await page.locator('.task-head .progress').getByText(HOSTILE).waitFor();
    assert.equal(await page.locator('main img').count(), 0);
    const saving = page.waitForEvent('download');
    await panel(page, 'Files').getByRole('button', { name: 'Save report.txt' }).click();
    const parts: Buffer[] = [];
    for await (const part of await (await saving).createReadStream()) parts.push(part as Buffer);
    assert.equal(Buffer.concat(parts).toString(), 'whole\n');
    await act(page, 'Cancel').click();
    await becomes(page, 'Cancelled');
  });

  test('goes_on_over_a_restart_of_the_service', async () => {
    const page = await running('/stays');
    await panel(page, 'Log').getByRole('status').filter({ hasText: 'Live' }).waitFor();
    await at.service.stop('SIGTERM');
    await panel(page, 'Log').getByText('Not live.').waitFor();
    await at.service.start();
    await connection(page, 'Live');
    await panel(page, 'Log').getByRole('status').filter({ hasText: 'Live' }).waitFor();
    await act(page, 'Cancel').click();
    await becomes(page, 'Cancelled');
    await panel(page, 'What is known').getByText('Nothing left').waitFor();
    const told = await revisions(page);
    assert.deepEqual(told, told.map((_, at) => at + 1));
  });

  test('tells_five_pages_of_a_task_by_two_streams_and_answers_their_calls', async () => {
    const first = await running('/stays');
    const tabs = [first, ...await Promise.all(Array.from({ length: 4 }, () => open(at.context, first.url())))];
    for (const tab of tabs) await panel(tab, 'Log').getByRole('status').filter({ hasText: 'Live' }).waitFor();
    await act(tabs[4] as Page, 'Cancel').click();
    await Promise.all(tabs.map((tab) => becomes(tab, 'Cancelled')));
    assert.deepEqual([at.proxy.calls('WatchJobs'), at.proxy.calls('ReadLog')], [1, 1]);
  });
});

/** The revisions that are told, in the order in which they stand. */
function revisions(page: Page): Promise<number[]> {
  return page.locator('.changes [data-revision]').evaluateAll((changes) => changes.map((change) => Number((change as HTMLElement).dataset.revision)));
}
