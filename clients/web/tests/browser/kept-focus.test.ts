// Where the keyboard is after something that it stood at has gone, and that pictures outlive their rows.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { create } from '@bufbuild/protobuf';
import type { Page } from 'playwright-core';

import { Job_Reason as Reason, Job_Status as Status, JobSchema } from '../../src/gen/comet/taskrunner/v1/task_runner_pb.ts';
import type { Fake } from '../fake.ts';
import { JobFake, now } from '../job-fake.ts';
import { CAPABILITIES, ListFake } from '../list-fake.ts';
import { beforeFake, connection, open, signedIn } from './support.ts';

let fake: Fake;
let list: ListFake;

const at = beforeFake((made) => {
  fake = made;
  list = new ListFake(fake);
  new JobFake(fake);
}, (url) => ({ viewport: { width: 1280, height: 800 }, ...signedIn(url) }));

async function enter(path = '/'): Promise<Page> {
  const page = await open(at.context, `${fake.url}${path}`);
  await connection(page, 'Live');
  return page;
}

function running(url: string): string {
  const browser = { name: 'chromium', headless: false, capabilities: CAPABILITIES };
  return fake.change(fake.taskId(), { url, status: Status.RUNNING, reason: Reason.LAUNCHED, startedAt: now(), processId: 4711, isProcessAlive: true, browser }).taskId;
}

function end(taskId: string): void {
  fake.change(taskId, { status: Status.DONE, done: true, reason: Reason.PAGE_CLOSED, finishedAt: now(), isProcessAlive: false });
}

/** Waits until what has the focus has this name, or these words in it. */
async function focused(page: Page, words: string): Promise<void> {
  const at = () => page.evaluate(() => `${document.activeElement?.getAttribute('aria-label') ?? ''} ${document.activeElement?.textContent ?? ''}`.slice(0, 200));
  await page.waitForFunction((wanted) => {
    const now = document.activeElement;
    return now !== document.body && `${now?.getAttribute('aria-label') ?? ''} ${now?.textContent ?? ''}`.includes(wanted);
  }, words, { timeout: 5000 }).catch(async () => assert.fail(`the focus is at "${await at()}", not at "${words}"`));
}

test('the_heading_of_a_task_has_the_focus_when_its_page_was_opened', async () => {
  const taskId = running('http://example.test/a');
  const page = await enter();
  // What the list knows is drawn at once: a heading that another one replaces loses the focus.
  await page.evaluate(() => {
    const seen: string[] = [];
    Object.assign(globalThis, { seen });
    new MutationObserver(() => seen.push(document.querySelector('#heading')?.textContent ?? '')).observe(document.body, { childList: true, subtree: true });
  });
  await page.getByRole('link', { name: 'http://example.test/a' }).focus();
  await page.keyboard.press('Enter');
  await page.locator(`.task-head[data-task="${taskId}"]`).waitFor();
  await focused(page, 'Running');
  assert.deepEqual(await page.evaluate(() => (globalThis as unknown as { seen: string[] }).seen.filter((words) => words.startsWith('Reading'))), []);
});

test('a_task_that_the_list_does_not_know_gets_the_focus_when_it_is_read', async () => {
  const taskId = running('http://example.test/a');
  let release = () => {};
  const held = new Promise<void>((resolve) => { release = resolve; });
  const page = await enter();
  await page.route('**/GetStatus', async (route) => { await held; await route.continue(); });
  // The stream tells of it only as it stood; the list forgets it.
  const old = fake.history(taskId);
  fake.remove(taskId);
  await page.getByText('No tasks yet').waitFor();
  await page.evaluate((id) => { location.hash = `#/tasks/${id}`; }, taskId);
  await focused(page, 'Reading the task');
  for (const job of old) fake.jobs.set(taskId, job);
  release();
  await page.getByRole('heading', { name: /^Running/ }).waitFor();
  await focused(page, 'Running');
});

test('on_a_tasks_page_a_button_that_was_pressed_leaves_the_keyboard_where_it_was', async () => {
  running('http://example.test/a');
  const page = await enter();
  await page.getByRole('link', { name: 'http://example.test/a' }).click();
  const actions = page.getByRole('group', { name: 'Actions' });
  let release = () => {};
  const held = new Promise<void>((resolve) => { release = resolve; });
  let asked = 0;
  await page.route('**/FocusWindow', async (route) => { asked += 1; await held; await route.continue(); });
  await actions.getByRole('button', { name: 'Focus window' }).focus();
  await page.keyboard.press('Enter');
  await focused(page, 'Asking');
  await page.keyboard.press('Enter');
  release();
  await page.getByText('The window is before all others.').waitFor();
  await focused(page, 'Focus window');
  assert.equal(asked, 1, 'a second press meanwhile does nothing');
  await actions.getByRole('button', { name: 'Cancel' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: /^Stopping/ }).waitFor();
  await focused(page, 'Kill now');
});

test('in_the_list_a_button_that_goes_hands_the_keyboard_to_the_one_beside_it', async () => {
  const taskId = running('http://example.test/a');
  const page = await enter();
  await page.getByRole('button', { name: 'Cancel http://example.test/a' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Stopping http://example.test/a' }).waitFor();
  await focused(page, 'Stopping');
  assert.deepEqual(fake.cancelled, [taskId]);
  await page.keyboard.press('Enter');
  end(taskId);
  await focused(page, 'Run again');
  assert.deepEqual(fake.cancelled, [taskId], 'a second press meanwhile does nothing');
});

test('a_row_that_a_filter_drops_hands_the_keyboard_to_its_neighbour', async () => {
  const [first, second, third] = ['a', 'b', 'c'].map((name) => running(`http://example.test/${name}`)) as [string, string, string];
  const page = await enter('/#/?status=RUNNING');
  // The newest one is the first.
  await page.getByRole('link', { name: 'http://example.test/b' }).focus();
  end(second);
  await focused(page, 'http://example.test/a');
  end(first);
  await focused(page, 'http://example.test/c');
  end(third);
  await page.getByText('No task here is like that.').waitFor();
  await page.waitForFunction(() => document.activeElement?.id === 'heading', undefined, { timeout: 5000 });
});

test('a_picture_stays_open_when_its_task_leaves_the_list', async () => {
  const taskId = running('http://example.test/a');
  const page = await enter('/#/?status=RUNNING');
  await page.getByRole('button', { name: 'Take screenshot http://example.test/a' }).click();
  const dialog = page.getByRole('dialog', { name: 'Screenshot' });
  await dialog.getByText('http://example.test/a').waitFor();
  await page.waitForFunction(() => document.querySelector<HTMLImageElement>('dialog img')?.naturalWidth === 1);
  end(taskId);
  await page.getByText('No task here is like that.').waitFor();
  assert.ok(await dialog.isVisible());
  const saving = page.waitForEvent('download');
  await dialog.getByRole('button', { name: 'Save picture' }).click();
  assert.equal((await saving).suggestedFilename(), `${taskId}.png`);
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  await page.waitForFunction(() => document.activeElement?.id === 'heading', undefined, { timeout: 5000 });
});

test('asking_for_older_tasks_leaves_the_keyboard_there_until_there_are_no_more', async () => {
  const old = { url: 'http://example.test/old', status: Status.DONE, done: true, reason: Reason.PAGE_CLOSED, revision: 3n, createdAt: { seconds: 1_000_000n, nanos: 0 }, finishedAt: { seconds: 1_000_001n, nanos: 0 } };
  for (const taskId of ['0190b0c0-0000-7000-8000-00000000000a', '0190b0c0-0000-7000-8000-00000000000b']) list.old.push(create(JobSchema, { ...old, taskId }));
  list.pageMax = 1;
  running('http://example.test/a');
  const page = await enter();
  await page.getByRole('button', { name: 'Older tasks' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('link', { name: 'http://example.test/old' }).first().waitFor();
  await focused(page, 'Older tasks');
  await page.keyboard.press('Enter');
  await page.getByText('There are no older ones.').waitFor();
  await focused(page, 'There are no older ones.');
});

test('a_row_of_the_list_looks_the_same_as_before_a_task_page_was_seen', async () => {
  running('http://example.test/a');
  const page = await enter();
  const cell = page.locator('.job [role="cell"]').first();
  await cell.waitFor();
  assert.equal(await cell.evaluate((element) => getComputedStyle(element).flexWrap), 'nowrap');
});
