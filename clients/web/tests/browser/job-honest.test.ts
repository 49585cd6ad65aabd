// What a task's page says when it does not know, and what it offers to whom.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Code, ConnectError } from '@connectrpc/connect';
import type { Page } from 'playwright-core';

import {
  GetRunnerResponse_Scope as Scope, Job_Reason as Reason, Job_Status as Status, JobFile_Kind as Kind, Sample_QueueReason as QueueReason,
} from '../../src/gen/comet/taskrunner/v1/task_runner_pb.ts';
import type { Fake } from '../fake.ts';
import { JobFake, now } from '../job-fake.ts';
import { CAPABILITIES, ListFake } from '../list-fake.ts';
import { beforeFake, connection, open, signedIn } from './support.ts';

let fake: Fake;
let list: ListFake;
let jobs: JobFake;

const at = beforeFake((made) => {
  fake = made;
  list = new ListFake(fake);
  jobs = new JobFake(fake);
}, (url) => ({ viewport: { width: 1100, height: 900 }, acceptDownloads: true, ...signedIn(url) }));

const BROWSER = { name: 'chromium', headless: false, capabilities: CAPABILITIES };
function running(fields: object = {}): string {
  return fake.change(fake.taskId(), { status: Status.RUNNING, reason: Reason.LAUNCHED, startedAt: now(), processId: 4711, isProcessAlive: true, browser: BROWSER, ...fields }).taskId;
}

async function openJob(taskId: string): Promise<Page> {
  const page = await open(at.context, `${fake.url}/#/tasks/${taskId}`);
  await connection(page, 'Live');
  return page;
}

const log = (page: Page) => page.getByRole('region', { name: 'Log', exact: true });

test('a_session_that_may_only_watch_is_offered_no_action_on_a_tasks_page', async () => {
  list.runner = { ...list.runner, scope: Scope.OBSERVE };
  const live = running();
  const over = running({ status: Status.DONE, done: true, reason: Reason.PAGE_CLOSED, finishedAt: now() });
  const page = await openJob(live);
  for (const taskId of [live, over]) {
    await page.evaluate((id) => { location.hash = `#/tasks/${id}`; }, taskId);
    await page.locator(`.task-head[data-task="${taskId}"]`).waitFor();
    await page.getByText('This session may look on; it may not act.').waitFor();
    await page.getByText('What was asked').waitFor();
    assert.equal(await page.getByRole('group', { name: 'Actions' }).count(), 0);
    assert.equal(await page.getByRole('button', { name: /Cancel|Close browser|Kill|screenshot|Focus window|Run again/ }).count(), 0);
  }
});

test('a_log_does_not_go_on_asking_with_a_token_that_was_refused', async () => {
  const taskId = running();
  jobs.say(taskId, { text: 'before' });
  const page = await openJob(taskId);
  await log(page).getByRole('status').filter({ hasText: 'Live' }).waitFor();
  fake.tokens.delete('good');
  fake.tokens.add('better');
  fake.cut();
  await connection(page, 'Token needed');
  await log(page).getByRole('status').filter({ hasText: 'Not live until there is a token.' }).waitFor({ timeout: 5000 });
  jobs.say(taskId, { text: 'meanwhile' });
  await page.getByRole('textbox', { name: /token/i }).fill('better');
  await page.keyboard.press('Enter');
  await log(page).getByText('meanwhile').waitFor();
  await log(page).getByRole('status').filter({ hasText: 'Live' }).waitFor();
  assert.equal(await log(page).getByText('before', { exact: true }).count(), 1, 'it went on behind what was told');
});

test('what_was_asked_is_said_to_be_unread_and_can_be_read_again', async () => {
  const taskId = running({ status: Status.DONE, done: true, reason: Reason.PAGE_CLOSED, finishedAt: now(), isProcessAlive: false });
  const answer = fake.more.getStatus;
  let asked = 0;
  let broken = true;
  await fake.kill();
  fake.more.getStatus = (request, context) => {
    asked += 1;
    if (broken) throw new ConnectError('the disk is full', Code.Internal);
    return (answer as NonNullable<typeof answer>)(request, context);
  };
  await fake.start();
  const page = await openJob(taskId);
  await page.getByText('What was asked for it could not be read. The disk is full.').waitFor({ timeout: 5000 });
  broken = false;
  await page.getByRole('button', { name: 'Try again' }).focus();
  await page.keyboard.press('Enter');
  await page.getByText('could not be read').waitFor({ state: 'detached' });
  await page.waitForFunction(() => document.activeElement?.id === 'heading', undefined, { timeout: 5000 });
  const before = asked;
  await page.getByRole('button', { name: 'Run again' }).click();
  await fake.until('it runs again', () => fake.executed.length === 1);
  assert.equal(fake.executed[0]?.browser, 'chromium', 'as it was asked');
  await page.getByRole('heading', { name: /^Waiting/ }).waitFor();
  assert.equal(asked - before, 1, 'only the page of the new task asked');
});

test('a_reading_that_comes_late_is_not_put_over_an_ended_task', async () => {
  const taskId = running();
  jobs.sample = { pageTitle: 'Long gone' };
  const page = await at.context.newPage();
  let release = () => {};
  const held = new Promise<void>((resolve) => { release = resolve; });
  let answered = () => {};
  const answer = new Promise<void>((resolve) => { answered = resolve; });
  await page.route('**/GetStatus', async (route) => {
    const response = await route.fetch();
    answered();
    await held;
    await route.fulfill({ response });
  });
  await page.goto(`${fake.url}/#/tasks/${taskId}`);
  await answer;
  fake.change(taskId, { status: Status.DONE, done: true, reason: Reason.PAGE_CLOSED, finishedAt: now(), isProcessAlive: false });
  await page.getByRole('heading', { name: /^Done/ }).waitFor();
  release();
  await page.getByRole('button', { name: 'Run again' }).waitFor();
  assert.equal(await page.getByText('Long gone').count(), 0);
});

test('one_file_is_saved_at_a_time', async () => {
  const files = ['a.txt', 'b.txt'].map((name) => ({ name, kind: Kind.DOWNLOAD, sizeBytes: 3n, keptAt: now() }));
  const taskId = running({ files });
  for (const { name } of files) jobs.files.set(name, Buffer.from(name.slice(0, 3)));
  const page = await openJob(taskId);
  await page.evaluate(() => {
    const revoke = URL.revokeObjectURL.bind(URL);
    Object.assign(globalThis, { revoked: 0 });
    URL.revokeObjectURL = (href) => { (globalThis as unknown as { revoked: number }).revoked += 1; revoke(href); };
  });
  let release = () => {};
  const held = new Promise<void>((resolve) => { release = resolve; });
  await page.route('**/ReadFile', async (route) => { await held; await route.continue(); });
  const button = (name: string) => page.getByRole('button', { name });
  await button('Save a.txt').click();
  await button('Stop').waitFor();
  assert.equal(await button('Save b.txt').getAttribute('aria-disabled'), 'true');
  await button('Save b.txt').focus();
  await page.keyboard.press('Enter');
  assert.equal(await button('Stop').count(), 1);
  const saving = page.waitForEvent('download');
  release();
  await (await saving).path();
  assert.equal(await page.evaluate(() => (globalThis as unknown as { revoked: number }).revoked), 0, 'its address lasts until it is surely taken');
  await Promise.all([page.waitForEvent('download'), button('Save b.txt').click()]);
  assert.deepEqual(jobs.filesRead.map(({ name }) => name), ['a.txt', 'b.txt']);
});

test('a_task_that_waits_says_why_in_the_words_of_the_list', async () => {
  const taskId = fake.taskId();
  fake.change(taskId, {});
  const page = await openJob(taskId);
  await page.getByRole('heading', { name: /^Waiting/ }).waitFor();
  fake.sample(taskId, { queuePosition: 1, queueReason: QueueReason.PROFILE });
  await page.getByText('Next in the queue. Another task has its profile.').waitFor({ timeout: 5000 });
});

test('what_is_no_picture_is_said_to_be_none', async () => {
  const name = 'last.png';
  const taskId = running({ files: [{ name, kind: Kind.SCREENSHOT, sizeBytes: 5n, keptAt: now() }] });
  jobs.files.set(name, Buffer.from('words'));
  const page = await openJob(taskId);
  await page.getByText('This is no picture that a browser can show.').waitFor({ timeout: 5000 });
});
