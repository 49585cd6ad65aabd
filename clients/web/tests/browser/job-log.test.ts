// The log on a job's own page: live, bounded, shared among tabs, and honest when it is not live.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Page } from 'playwright-core';

import { Job_Reason as Reason, Job_Status as Status, LogEntry_Level as Level, LogEntry_Source as Source } from '../../src/gen/comet/taskrunner/v1/task_runner_pb.ts';
import type { Fake } from '../fake.ts';
import { JobFake, now } from '../job-fake.ts';
import { accessible } from './job-support.ts';
import { beforeFake, connection, open, signedIn } from './support.ts';

let fake: Fake;
let jobs: JobFake;

const at = beforeFake((made) => {
  fake = made;
  jobs = new JobFake(fake);
}, (url) => ({ viewport: { width: 1100, height: 900 }, ...signedIn(url) }));

function running(): string {
  const taskId = fake.taskId();
  fake.change(taskId, {});
  fake.change(taskId, { status: Status.RUNNING, reason: Reason.LAUNCHED, startedAt: now(), processId: 4711, isProcessAlive: true });
  return taskId;
}

async function openJob(taskId: string): Promise<Page> {
  const page = await open(at.context, `${fake.url}/#/tasks/${taskId}`);
  await connection(page, 'Live');
  return page;
}

const log = (page: Page) => page.getByRole('region', { name: 'Log', exact: true });
const entries = (page: Page) => log(page).getByRole('log');
const standing = (page: Page, words: string) => log(page).getByRole('status').filter({ hasText: words }).waitFor();
const scrolledTo = (page: Page) => entries(page).evaluate((box) => Math.round(box.scrollHeight - box.scrollTop - box.clientHeight));

test('what_the_browser_says_is_shown_as_it_says_it_until_it_ends', async () => {
  const taskId = running();
  jobs.say(taskId, { text: 'first words' });
  const page = await openJob(taskId);
  await entries(page).getByText('first words').waitFor();
  await standing(page, 'Live');
  jobs.say(taskId, { text: 'GET /x failed', source: Source.NETWORK, level: Level.ERROR, url: 'http://example.test/x', line: 7 });
  await entries(page).getByText('http://example.test/x:7').waitFor();
  await accessible(page);
  jobs.endLog(taskId);
  await standing(page, 'Complete');
  assert.equal(jobs.logsRead.length, 1);
});

test('sources_and_levels_are_filtered_here_without_another_call', async () => {
  const taskId = running();
  jobs.say(taskId, { text: 'said by a script' }, { text: 'said by the browser', source: Source.OUTPUT, level: Level.WARNING }, { text: 'refused', source: Source.NETWORK, level: Level.ERROR });
  const page = await openJob(taskId);
  await log(page).getByText('3 entries').waitFor();
  await log(page).getByRole('button', { name: 'Output' }).click();
  await log(page).getByText('2 of 3 entries').waitFor();
  assert.equal(await entries(page).getByText('said by the browser').count(), 0);
  await log(page).getByRole('button', { name: 'Output' }).click();
  await log(page).getByLabel('Level').selectOption('Errors only');
  await log(page).getByText('1 of 3 entries').waitFor();
  await entries(page).getByText('refused').waitFor();
  await log(page).getByRole('button', { name: 'Network' }).click();
  await entries(page).getByText('No entry is of these sources and this level.').waitFor();
  assert.equal(jobs.logsRead.length, 1);
});

test('it_scrolls_on_by_itself_until_somebody_scrolls_up_and_keeps_the_latest_thousand', async () => {
  const taskId = running();
  jobs.say(taskId, ...Array.from({ length: 990 }, (_, at) => ({ text: `line ${at + 1}` })));
  const page = await openJob(taskId);
  await entries(page).getByText('line 990', { exact: true }).waitFor();
  assert.ok(await scrolledTo(page) < 8, 'it is at the end');
  await entries(page).evaluate((box) => { box.scrollTop = 0; });
  await log(page).getByRole('button', { name: 'To the end' }).waitFor();
  jobs.say(taskId, ...Array.from({ length: 20 }, (_, at) => ({ text: `more ${at + 1}` })));
  const toEnd = log(page).getByRole('button', { name: 'To the end, 20 new' });
  await toEnd.waitFor();
  assert.ok(await scrolledTo(page) > 1000, 'it stays where it is read');
  assert.equal(await entries(page).locator('.entry').count(), 1000);
  await entries(page).getByText('10 entries are gone.').waitFor();
  await toEnd.click();
  assert.ok(await scrolledTo(page) < 8);
  assert.equal(await toEnd.count(), 0);
  jobs.say(taskId, { text: 'the very last' });
  await entries(page).getByText('the very last').waitFor();
  assert.ok(await scrolledTo(page) < 8, 'it follows again');
});

test('it_goes_on_behind_the_last_entry_after_a_cut_and_says_what_is_gone', async () => {
  const taskId = running();
  jobs.say(taskId, { text: 'before' }, { text: 'the cut' });
  const page = await openJob(taskId);
  await entries(page).getByText('the cut').waitFor();
  await fake.kill();
  await standing(page, 'Not live.');
  jobs.say(taskId, { text: 'unheard' }, { text: 'after' });
  jobs.drop(taskId, 3);
  await fake.start();
  await entries(page).getByText('after').waitFor();
  await standing(page, 'Live');
  await entries(page).getByText('One entry is gone.').waitFor();
  await entries(page).getByText('before').waitFor();
  assert.deepEqual(jobs.logsRead.map(({ afterNumber }) => Number(afterNumber)), [0, 2]);
});

test('a_log_that_the_service_lost_begins_anew_and_says_so', async () => {
  const taskId = running();
  jobs.say(taskId, { text: 'of old' }, { text: 'of old too' });
  const page = await openJob(taskId);
  await entries(page).getByText('of old too').waitFor();
  await fake.kill();
  jobs.lose(taskId);
  jobs.say(taskId, { text: 'anew' });
  await fake.start();
  await entries(page).getByText('anew').waitFor();
  await log(page).getByText('The service lost what it had told before').waitFor();
  assert.equal(await entries(page).getByText('of old').count(), 0);
});

test('two_tabs_of_one_job_share_one_stream_and_the_last_one_leaves_it', async () => {
  const taskId = running();
  jobs.say(taskId, { text: 'heard by all' });
  const tabs = [await openJob(taskId), await openJob(taskId)];
  for (const tab of tabs) await entries(tab).getByText('heard by all').waitFor();
  jobs.say(taskId, { text: 'and this' });
  for (const tab of tabs) await entries(tab).getByText('and this').waitFor();
  assert.equal(jobs.logsRead.length, 1);
  await tabs[0]?.close();
  jobs.say(taskId, { text: 'heard by one' });
  await entries(tabs[1] as Page).getByText('heard by one').waitFor();
  await (tabs[1] as Page).getByRole('link', { name: 'All tasks' }).click();
  await fake.until('the stream is left with the page', () => jobs.openLogs === 0);
});

test('a_tab_that_nobody_sees_leaves_the_stream_and_goes_on_when_it_is_seen', async () => {
  const taskId = running();
  jobs.say(taskId, { text: 'seen' });
  const page = await openJob(taskId);
  await entries(page).getByText('seen').waitFor();
  await page.evaluate(turn, 'hidden');
  await fake.until('the stream is left', () => jobs.openLogs === 0);
  jobs.say(taskId, { text: 'meanwhile' });
  await page.evaluate(turn, 'visible');
  await entries(page).getByText('meanwhile').waitFor();
  assert.equal(await entries(page).locator('.entry').count(), 2);
  assert.deepEqual(jobs.logsRead.map(({ afterNumber }) => Number(afterNumber)), [0, 1]);
});

test('a_third_log_is_read_once_says_so_and_becomes_live_when_there_is_room', async () => {
  const tasks = [running(), running(), running()];
  for (const taskId of tasks) jobs.say(taskId, { text: `of ${taskId}` });
  const tabs: Page[] = [];
  for (const taskId of tasks) {
    const tab = await openJob(taskId);
    await entries(tab).getByText(`of ${taskId}`).waitFor();
    tabs.push(tab);
  }
  const [first, , third] = tabs as [Page, Page, Page];
  await standing(third, 'Not live, since other tabs follow logs. As of');
  assert.equal(jobs.openLogs, 2);
  jobs.say(tasks[2] as string, { text: 'on request' });
  await log(third).getByRole('button', { name: 'Read again' }).click();
  await entries(third).getByText('on request').waitFor();
  // With the list and two logs, three connections are left for calls.
  await third.getByRole('group', { name: 'Actions' }).getByRole('button', { name: 'Cancel' }).click();
  await third.getByText('The task is told to end.').waitFor();
  await first.close();
  await fake.until('it takes the place', () => jobs.logsRead.at(-1)?.follow === true && jobs.openLogs === 2);
  jobs.say(tasks[2] as string, { text: 'by itself' });
  await entries(third).getByText('by itself').waitFor();
  await standing(third, 'Live');
});

test('a_worker_that_dies_takes_no_line_of_the_log_with_it', async () => {
  const taskId = running();
  jobs.say(taskId, { text: 'before' });
  const page = await openJob(taskId);
  await entries(page).getByText('before').waitFor();
  const devtools = await at.browser.newBrowserCDPSession();
  const { targetInfos } = await devtools.send('Target.getTargets');
  const worker = targetInfos.find(({ type, url }) => type === 'shared_worker' && url.startsWith(fake.url));
  assert.ok(worker);
  await devtools.send('Target.closeTarget', { targetId: worker.targetId });
  await fake.until('the log is followed anew', () => jobs.logsRead.length === 2 && jobs.openLogs === 1);
  jobs.say(taskId, { text: 'after' });
  await entries(page).getByText('after').waitFor();
  assert.equal(await entries(page).locator('.entry').count(), 2);
});

/** In the page: as if the tab were covered, or shown again. Browsers without a window show all of their tabs. */
function turn(state: string): void {
  Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => state });
  document.dispatchEvent(new Event('visibilitychange'));
}
