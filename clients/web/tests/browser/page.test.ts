// The built page in a real browser, before a service that breaks what each test wants broken.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Page } from 'playwright-core';

import { Job_Reason as Reason, Job_Status as Status } from '../../src/gen/comet/taskrunner/v1/task_runner_pb.ts';
import type { Fake } from '../fake.ts';
import { beforeFake, connection, open, screenshot, SOON } from './support.ts';

const KEY = 'comet-task-runner.session';
const HOSTILE = '<img src=x onerror="document.title=1">';

let fake: Fake;

const at = beforeFake((made) => { fake = made; }, () => ({ viewport: { width: 900, height: 640 } }));

/** A page that is let in. */
async function enter(): Promise<Page> {
  fake.codes.set('once', 'good');
  const page = await open(at.context, `${fake.url}/#code=once`);
  await connection(page, 'Live');
  return page;
}

const time = () => ({ seconds: BigInt(Math.floor(Date.now() / 1000)), nanos: 0 });
const ended = () => ({ done: true, startedAt: time(), finishedAt: time() });

test('a_link_lets_a_browser_in_once_and_leaves_no_trace', async () => {
  fake.codes.set('once', 'good');
  const page = await open(at.context, `${fake.url}/#code=once`);
  await page.getByText('No tasks yet').waitFor();
  assert.equal(page.url(), `${fake.url}/`);
  await page.reload();
  await connection(page, 'Live');
  await screenshot(page, 'empty');
  const stranger = await at.browser.newContext();
  const other = await open(stranger, `${fake.url}/#code=once`);
  await other.getByText('This link has been used already').waitFor();
  assert.equal(other.url(), `${fake.url}/`);
  await screenshot(other, 'token-needed');
  // Pasted into the open page, a good one lets in without a reload.
  fake.codes.set('another', 'good');
  await other.getByLabel('Link or token').fill(`${fake.url}/#code=another`);
  await other.keyboard.press('Enter');
  await connection(other, 'Live');
  await stranger.close();
});

test('a_link_that_is_opened_in_the_open_page_lets_in', async () => {
  const page = await open(at.context, fake.url);
  await connection(page, 'Token needed');
  fake.codes.set('once', 'good');
  await page.goto(`${fake.url}/#code=once`);
  await connection(page, 'Live');
  assert.equal(page.url(), `${fake.url}/`);
});

test('a_token_that_one_tab_gets_heals_the_others', async () => {
  const first = await open(at.context, fake.url);
  const second = await open(at.context, fake.url);
  for (const tab of [first, second]) await connection(tab, 'Token needed');
  await second.getByLabel('Link or token').fill('good');
  await second.keyboard.press('Enter');
  await connection(second, 'Live');
  await connection(first, 'Live');
});

test('a_token_that_is_no_longer_good_is_dropped_and_asked_for', async () => {
  const page = await enter();
  fake.tokens.delete('good');
  fake.tokens.add('better');
  fake.cut();
  await connection(page, 'Token needed');
  await page.getByText('does not, or no longer, accept this token').waitFor();
  await page.waitForFunction((key) => localStorage.getItem(key) === null, KEY);
  // Given once more by hand, it is tried once more, and the page says again what came of it.
  await page.getByLabel('Link or token').fill('good');
  const refusals = fake.refusals;
  await page.keyboard.press('Enter');
  await fake.until('it is tried once more', () => fake.refusals === refusals + 1);
  await page.getByText('does not, or no longer, accept this token').waitFor();
  await page.getByLabel('Link or token').fill('better');
  await page.keyboard.press('Enter');
  await connection(page, 'Live');
});

test('a_call_that_is_refused_asks_for_a_token_too', async () => {
  const page = await enter();
  fake.tokens.delete('good');
  await page.getByLabel('Address to open').fill('http://example.test/');
  await page.keyboard.press('Enter');
  await connection(page, 'Token needed');
  await fake.until('the stream is gone', () => fake.openStreams === 0);
});

test('an_execute_shows_its_task_and_a_wrong_address_why_it_is_wrong', async () => {
  const page = await enter();
  const field = page.getByLabel('Address to open');
  await field.fill('ftp://example.test/');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').filter({ hasText: 'The scheme must be http or https.' }).waitFor();
  assert.equal(await field.getAttribute('aria-invalid'), 'true');
  assert.equal(await field.inputValue(), 'ftp://example.test/', 'what is wrong is there to be mended');
  await field.fill('http://example.test/right');
  fake.unanswered = 1;
  await page.getByRole('button', { name: 'Execute' }).click();
  await page.getByRole('link', { name: 'http://example.test/right' }).waitFor();
  assert.equal(await field.inputValue(), '');
  assert.equal(await page.locator('.job').count(), 1);
  assert.equal(new Set(fake.executed.map(({ requestId }) => requestId)).size, 1);
  assert.ok(fake.executed.length >= 2, 'the unanswered call was made again');
});

test('each_status_has_its_word_and_its_reason', async () => {
  const page = await enter();
  const show = (status: Status, reason: Reason, fields: object = {}) => fake.change(fake.taskId(), { status, reason, ...fields });
  show(Status.LOST, Reason.SHIM_DIED, ended());
  show(Status.TIMED_OUT, Reason.RUN_TIMEOUT, ended());
  show(Status.FAILED, Reason.NAVIGATION_FAILED, { ...ended(), page: { netError: 'net::ERR_CONNECTION_REFUSED' } });
  show(Status.CANCELLED, Reason.CANCEL_REQUESTED, ended());
  show(Status.DONE, Reason.CALLBACK, { ...ended(), callback: { message: 'sent all 12', result: '{"sent":12}' } });
  show(Status.CREATED, Reason.ACCEPTED);
  show(Status.STOPPING, Reason.CANCEL_REQUESTED, { startedAt: time(), cancelRequested: true });
  const { taskId } = show(Status.RUNNING, Reason.LAUNCHED, { startedAt: time(), isProcessAlive: true });
  fake.sample(taskId, { progress: 40, progressMessage: 'sending', processInfo: { cpuPercent: 31.4, memoryMb: 312.2 } });
  const rows = page.locator('.job');
  await page.getByText('CPU 31 %, 312 MiB').waitFor();
  assert.deepEqual(await rows.locator('.status').allInnerTexts(), ['Running', 'Stopping', 'Waiting', 'Done', 'Cancelled', 'Failed', 'Timed out', 'Lost']);
  assert.deepEqual(await rows.locator('.status').evaluateAll((all) => all.map((one) => one.className.replace('status ', ''))),
    ['live', 'live', 'live', 'good', 'bad', 'bad', 'bad', 'bad']);
  await page.getByText('The site refused the connection (net::ERR_CONNECTION_REFUSED).').waitFor();
  assert.equal(await page.getByRole('progressbar').getAttribute('value'), '40');
  await screenshot(page, 'list');
  await page.setViewportSize({ width: 320, height: 640 });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320, 'nothing sticks out of a narrow screen');
  await screenshot(page, 'narrow');
});

test('a_cancel_shows_that_it_is_under_way', async () => {
  const { taskId } = fake.change(fake.taskId(), { status: Status.RUNNING, reason: Reason.LAUNCHED, startedAt: time() });
  const page = await enter();
  await page.getByRole('button', { name: 'Cancel http://example.test/' }).click();
  await page.getByText('waiting for its browser to leave').waitFor();
  assert.ok(await page.getByRole('button', { name: 'Stopping http' }).isDisabled());
  assert.deepEqual(fake.cancelled, [taskId]);
  fake.change(taskId, { status: Status.CANCELLED, ...ended() });
  await page.getByText('Cancelled on request.').waitFor();
  assert.equal(await page.getByRole('button', { name: /Cancel http|Stopping http/ }).count(), 0);
});

test('a_cut_is_said_and_healed_from_where_it_was', async () => {
  const a = fake.change(fake.taskId(), { status: Status.RUNNING, reason: Reason.LAUNCHED, startedAt: time() }).taskId;
  const page = await enter();
  await fake.kill();
  await connection(page, 'Not connected');
  await page.getByText(/next try in \d+ s|trying now/).waitFor();
  await screenshot(page, 'reconnecting');
  fake.change(a, { status: Status.DONE, reason: Reason.PAGE_CLOSED, ...ended() });
  fake.remove(fake.change(fake.taskId(), {}).taskId);
  await fake.start();
  await connection(page, 'Live');
  await page.getByText('The page was closed.').waitFor();
  assert.equal(await page.locator('.job').count(), 1);
  assert.deepEqual(fake.watched.map(({ resumeToken }) => resumeToken), ['', 'a:1']);
});

test('a_draining_service_is_said_and_come_back_to', async () => {
  const page = await enter();
  fake.drain(600);
  await connection(page, 'The service is restarting');
  await connection(page, 'Live');
  assert.equal(fake.watched.length, 2);
});

test('another_store_replaces_the_list', async () => {
  fake.change(fake.taskId(), { url: 'http://example.test/before' });
  const page = await enter();
  await page.getByText('/before').waitFor();
  fake.replaceStore();
  fake.change(fake.taskId(), { url: 'http://example.test/after' }, 'lose');
  fake.cut();
  await page.getByText('/after').waitFor();
  assert.equal(await page.getByText('/before').count(), 0);
});

test('a_hole_is_healed_and_told_to_the_console', async () => {
  const { taskId } = fake.change(fake.taskId(), {});
  const page = await enter();
  fake.change(taskId, {}, 'lose');
  fake.change(taskId, { status: Status.RUNNING, reason: Reason.LAUNCHED });
  await page.getByText('The browser is running.').waitFor();
  assert.match(at.heard.errors.splice(0).join('\n'), /^missed a change of \S+: revision 3 came after 1$/);
});

test('hostile_text_stays_text', async () => {
  fake.problems = [{ what: HOSTILE, remedy: '' }];
  const page = await enter();
  await page.locator('.problems').filter({ hasText: HOSTILE }).waitFor();
  const url = 'javascript:document.title=2';
  const callback = { message: `${HOSTILE} \u202egnp.exe\u0000` };
  fake.change(fake.taskId(), { url, status: Status.DONE, reason: Reason.CALLBACK, ...ended(), callback });
  fake.change(fake.taskId(), { url: `http://example.test/${HOSTILE}`, status: Status.FAILED, reason: Reason.PAGE_CRASHED, ...ended(), message: HOSTILE, page: { crashStatus: HOSTILE } });
  const running = fake.change(fake.taskId(), { status: Status.RUNNING, reason: Reason.LAUNCHED, isProcessAlive: true });
  fake.sample(running.taskId, { progress: 1, progressMessage: HOSTILE });
  await page.getByText(url).waitFor();
  await page.locator('.progress').filter({ hasText: HOSTILE }).waitFor();
  // Each where it belongs, letter by letter; what would act unseen is shown as a replacement.
  assert.equal(await page.locator('.job').last().locator('.message').textContent(), `${HOSTILE} \ufffdgnp.exe\ufffd`);
  assert.equal(await page.locator('main img, [onerror]').count(), 0);
  assert.ok(await page.locator('a').evaluateAll((links) => links.every((link) => (link as HTMLAnchorElement).origin === location.origin)), 'links stay here');
  await screenshot(page, 'hostile');
  assert.equal(await page.title(), '(1 running, 1 failed) Comet Task Runner', 'no script of theirs ran');
});

test('ten_tabs_share_one_stream_and_execute_answers_at_once', async () => {
  await enter();
  const pages = await Promise.all(Array.from({ length: 9 }, () => open(at.context, fake.url)));
  await Promise.all(pages.map((page) => connection(page, 'Live')));
  assert.equal(fake.watched.length, 1);
  const last = pages[8] as Page;
  const asked = Date.now();
  await last.getByLabel('Address to open').fill('http://example.test/ten');
  await last.keyboard.press('Enter');
  await last.getByRole('link', { name: 'http://example.test/ten' }).waitFor();
  assert.ok(Date.now() - asked < 1000, `${Date.now() - asked} ms`);
  // In any order, the first one and the one that asked included: those that stay are told.
  const stay = [3, 6];
  await Promise.all(at.context.pages().filter((_, at) => !stay.includes(at)).map((page) => page.close()));
  fake.change(fake.taskId(), { url: 'http://example.test/later' });
  for (const page of at.context.pages()) await page.getByText('/later').waitFor();
  assert.equal(fake.watched.length, 1);
  await Promise.all(at.context.pages().map((page) => page.close()));
  await fake.until('the stream is gone with the last tab', () => fake.openStreams === 0);
});

test('a_worker_that_dies_is_replaced', async () => {
  const page = await enter();
  const devtools = await at.browser.newBrowserCDPSession();
  const { targetInfos } = await devtools.send('Target.getTargets');
  const worker = targetInfos.find(({ type, url }) => type === 'shared_worker' && url.startsWith(fake.url));
  assert.ok(worker, 'the stream is in a shared worker');
  await devtools.send('Target.closeTarget', { targetId: worker.targetId });
  await fake.until('the stream is gone and another one is there', () => fake.watched.length === 2 && fake.openStreams === 1);
  fake.change(fake.taskId(), { url: 'http://example.test/after' });
  await page.getByText('/after').waitFor();
});

test('without_shared_workers_each_tab_has_a_stream_of_its_own', async () => {
  await at.context.addInitScript(() => { delete (globalThis as { SharedWorker?: unknown }).SharedWorker; });
  const page = await enter();
  const other = await open(at.context, fake.url);
  await connection(other, 'Live');
  assert.equal(fake.openStreams, 2);
  fake.change(fake.taskId(), { url: 'http://example.test/both' });
  for (const tab of [page, other]) await tab.getByText('/both').waitFor();
  // Told by the browser's store, since these tabs have nothing else in common.
  fake.tokens.delete('good');
  fake.tokens.add('better');
  fake.cut();
  for (const tab of [page, other]) await connection(tab, 'Token needed');
  await other.getByLabel('Link or token').fill('better');
  await other.keyboard.press('Enter');
  for (const tab of [page, other]) await connection(tab, 'Live');
  await other.close();
  await fake.until('its stream is gone', () => fake.openStreams === 1);
});

test('the_runner_is_asked_once_per_connection', async () => {
  fake.problems = [{ what: 'no browser was found', remedy: 'install one' }];
  const page = await enter();
  await page.getByText('no browser was found; install one').waitFor();
  await page.getByText('Version 1.2.3').waitFor();
  await open(at.context, fake.url);
  assert.deepEqual([fake.runnersMet, fake.refusals], [1, 0]);
  fake.problems = [];
  fake.cut();
  await page.getByText('no browser was found').waitFor({ state: 'detached', timeout: SOON });
  assert.equal(fake.runnersMet, 2);
});
