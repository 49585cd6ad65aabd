// A job's own page in a real browser, before a service that tells what each test wants told.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import type { Page } from 'playwright-core';

import {
  Browser_Capability as Capability, Browser_Tier as Tier, CallbackReportSchema, Dialog_Kind as Dialog, FocusWindowResponse_Outcome as Outcome,
  Job_Reason as Reason, JobSchema, Job_Status as Status, JobFile_Kind as Kind, Page_LoadState as LoadState, Resources_MemorySource as MemorySource,
  TreeEnd_Step as Step,
} from '../../src/gen/comet/taskrunner/v1/task_runner_pb.ts';
import type { Fake } from '../fake.ts';
import { JobFake, now, PIXEL } from '../job-fake.ts';
import { accessible, fits, wholeScreenshot } from './job-support.ts';
import { beforeFake, connection, open, signedIn } from './support.ts';

const HOSTILE = '<img src=x onerror="document.title=1">';
const HEADED = {
  name: 'chromium', version: 'Chrome/156.0', tier: Tier.MANAGED, headless: false,
  capabilities: [Capability.PAGE_FACTS, Capability.PAGE_SCREENSHOT, Capability.WINDOWS, Capability.STOP],
};
type Fields = MessageInitShape<typeof JobSchema>;

let fake: Fake;
let jobs: JobFake;

const at = beforeFake((made) => {
  fake = made;
  jobs = new JobFake(fake);
}, (url) => (
  { viewport: { width: 1100, height: 900 }, permissions: ['clipboard-read', 'clipboard-write'], acceptDownloads: true, ...signedIn(url) }
));

/** A job that runs. */
function running(fields: Fields = {}): string {
  const taskId = fake.taskId();
  fake.change(taskId, { url: 'http://example.test/report', browser: HEADED, host: 'vm', attempt: 1 });
  fake.change(taskId, {
    status: Status.RUNNING, reason: Reason.LAUNCHED, message: 'chromium is up', startedAt: now(), processId: 4711, isProcessAlive: true,
    page: { loadState: LoadState.LOADING },
  });
  fake.change(taskId, { message: 'the page is there (HTTP 200)', page: { url: 'http://example.test/report', httpStatus: 200, loadState: LoadState.COMMITTED }, ...fields } as Fields);
  return taskId;
}

async function openJob(taskId: string): Promise<Page> {
  const page = await open(at.context, `${fake.url}/#/tasks/${taskId}`);
  await connection(page, 'Live');
  return page;
}

const panel = (page: Page, name: string) => page.getByRole('region', { name, exact: true });
const act = (page: Page, name: string) => page.getByRole('group', { name: 'Actions' }).getByRole('button', { name });
const calls = (name: string) => jobs.called.filter((call) => call === name).length;
/** The line that tells what an action came to. */
const saidBy = (page: Page) => page.locator('.task-acts > p');

test('a_job_has_a_page_that_tells_its_whole_history_and_goes_on_with_it', async () => {
  const taskId = running();
  const page = await openJob(taskId);
  const changes = panel(page, 'What happened').getByRole('listitem');
  await changes.nth(2).getByText('The page is there (HTTP 200).').waitFor();
  assert.match(await changes.nth(0).innerText(), /Waiting/);
  assert.match(await changes.nth(1).innerText(), /\d\d:\d\d:\d\d\.\d{3}\s+\+\d+ ms\s+Running/);
  await fake.until('the history is left once it is read', () => calls('WatchJob') === 1 && jobs.openWatches === 0);
  fake.change(taskId, { status: Status.DONE, done: true, reason: Reason.CALLBACK, finishedAt: now(), callback: create(CallbackReportSchema, { status: Status.DONE, result: '{"pages":3}' }) });
  await changes.nth(3).getByText('The page reported that it is done.').waitFor();
  await panel(page, 'Result').getByText('"pages": 3').waitFor();
  await page.getByRole('heading', { name: /^Done/ }).waitFor();
  assert.equal(calls('WatchJob'), 1, 'what is pushed is not asked for');
  await page.reload();
  await changes.nth(3).waitFor();
  assert.equal(await changes.count(), 4);
});

test('a_job_that_left_the_list_has_its_page_too', async () => {
  const fields = { taskId: 'f', url: 'http://example.test/old', status: Status.LOST, done: true, reason: Reason.HOST_RESTARTED, createdAt: now(), finishedAt: now(), updatedAt: now(), revision: 1n };
  const taskId = '0190b0c0-0000-7000-8000-00000000abcd';
  jobs.old.set(taskId, [create(JobSchema, { ...fields, taskId })]);
  const page = await openJob(taskId);
  await page.getByRole('heading', { name: /^Lost/ }).waitFor();
  await page.getByText('The machine restarted meanwhile.').first().waitFor();
  await page.getByRole('link', { name: 'All tasks' }).click();
  await page.getByText('No tasks yet').waitFor();
  await fake.until('its log is left', () => jobs.openLogs === 0);
});

test('an_unknown_job_says_so_and_shows_the_way_back', async () => {
  const page = await openJob('0190b0c0-0000-7000-8000-0000000000ff');
  await page.getByRole('heading', { name: 'There is no such task' }).waitFor();
  await accessible(page);
  await page.getByRole('link', { name: 'See all tasks' }).click();
  await page.getByText('No tasks yet').waitFor();
});

test('a_forgotten_job_stays_on_the_page_and_is_said_to_be_gone', async () => {
  const taskId = running();
  const page = await openJob(taskId);
  await page.getByRole('heading', { name: /^Running/ }).waitFor();
  fake.remove(taskId);
  await page.getByText('The service has forgotten this task').waitFor();
  await page.getByRole('heading', { name: /^Running/ }).waitFor();
});

test('a_change_that_was_missed_while_away_is_read_behind_the_last_one', async () => {
  const taskId = running();
  const page = await openJob(taskId);
  const changes = panel(page, 'What happened').getByRole('listitem');
  await changes.nth(2).waitFor();
  await fake.kill();
  await connection(page, 'Not connected');
  for (const message of ['one', 'two', 'three']) fake.change(taskId, { message });
  // Another store of the stream's: it tells only how things stand now.
  fake.forgetPositions();
  await fake.start();
  await changes.nth(5).getByText('Three.').waitFor();
  await changes.nth(3).getByText('One.').waitFor();
  assert.equal(await changes.count(), 6);
});

test('changes_that_nobody_tells_any_more_are_counted', async () => {
  const taskId = running();
  jobs.untold = 5;
  fake.change(taskId, { status: Status.DONE, done: true, reason: Reason.PAGE_CLOSED, finishedAt: now() });
  for (const message of ['a', 'b', 'c']) fake.change(taskId, { message });
  const page = await openJob(taskId);
  await panel(page, 'What happened').getByText('2 changes are not told any more.').waitFor();
  assert.equal(await panel(page, 'What happened').getByRole('listitem').count(), 6);
});

test('a_failed_job_says_why_what_to_do_and_all_that_is_known', async () => {
  const at = now();
  const taskId = running();
  jobs.files.set('last.png', PIXEL);
  fake.change(taskId, {
    status: Status.FAILED, done: true, reason: Reason.PROCESS_FAILED, message: 'it was the browser', finishedAt: at, isProcessAlive: false, exitSignal: 11,
    labels: { team: 'docs' }, files: [{ name: 'last.png', kind: Kind.SCREENSHOT, sizeBytes: BigInt(PIXEL.length), keptAt: at }],
    treeEnd: { step: Step.KILLED, killedCount: 2, steps: [{ step: Step.CLOSED, at, processesLeft: 9 }, { step: Step.KILLED, at, processesLeft: 2 }], endedAt: at },
    resources: { cpuTime: { seconds: 75n, nanos: 0 }, peakMemoryMb: 512.4, peakMemorySource: MemorySource.CGROUP, processCountPeak: 11 },
  });
  jobs.say(taskId, { text: 'TypeError: x is undefined', level: 4 });
  jobs.endLog(taskId);
  const page = await openJob(taskId);
  await page.getByText('The browser ended by SIGSEGV (11).').first().waitFor();
  await page.locator('.remedy').getByText('last words').waitFor();
  const facts = panel(page, 'What is known');
  for (const words of ['SIGSEGV (11)', 'Asked to close: 9 processes left', 'Killed: 2 processes left', 'Nothing left, 2 had to be killed',
    '1 min 15 s', '512 MiB, counted by the kernel', 'team', 'docs', 'Managed: page facts are known']) {
    await facts.getByText(words, { exact: false }).first().waitFor();
  }
  const picture = panel(page, 'Picture').getByRole('img').first();
  await picture.waitFor();
  await page.waitForFunction(() => (document.querySelector('.enlarge img') as HTMLImageElement).naturalWidth === 1);
  await panel(page, 'Log').getByText('Complete').waitFor();
  await facts.getByText('What was asked').click();
  await facts.getByText('"browser": "chromium"').waitFor();
  await accessible(page);
});

test('what_a_job_is_at_right_now_is_shown_and_moves', async () => {
  const taskId = running();
  const page = await openJob(taskId);
  await page.getByRole('heading', { name: /^Running/ }).waitFor();
  fake.sample(taskId, { pageTitle: 'Quarterly report', progress: 40, progressMessage: 'reading', popupCount: 2, dialog: { kind: Dialog.CONFIRM, message: 'Really?' } });
  await page.getByText('40 %').waitFor();
  await page.getByText('reading', { exact: true }).waitFor();
  await page.getByText('2 popups are open.').waitFor();
  await page.getByText('A question stands open: Really?. The page').or(page.locator('.dialog').filter({ hasText: 'Really?' })).waitFor();
  await page.locator('.page-title').getByText('Quarterly report').waitFor();
  fake.sample(taskId, { progress: 90 });
  await page.getByText('90 %').waitFor();
  assert.equal(await page.locator('.dialog').count(), 0);
});

test('a_job_that_waits_says_its_place_and_why', async () => {
  const taskId = fake.taskId();
  fake.change(taskId, {});
  const page = await openJob(taskId);
  await page.getByRole('heading', { name: /^Waiting/ }).waitFor();
  fake.sample(taskId, { queuePosition: 3, queueMessage: 'all 2 slots are taken' });
  await page.getByText('Number 3 in the queue. All 2 slots are taken.').waitFor();
});

test('readings_are_drawn_and_said_without_asking_for_them', async () => {
  const taskId = running();
  const page = await openJob(taskId);
  await page.getByText('Its first readings come within three seconds.').waitFor();
  const start = Math.floor(Date.now() / 1000) - 30;
  for (let second = 0; second < 30; second += 1) {
    const info = { pid: 4711, cpuPercent: second, memoryMb: 200 + second, processCount: 9, status: 'running', sampledAt: { seconds: BigInt(start + second), nanos: 0 } };
    fake.sample(taskId, { processInfo: info });
  }
  const chart = page.getByRole('img', { name: /^Processor since .*: now 29 %, at most 29 %$/ });
  await chart.waitFor();
  await page.getByRole('img', { name: /^Memory since .*: now 229 MiB, at most 229 MiB$/ }).waitFor();
  await chart.locator('canvas').waitFor();
  // Some pixel of the line has this colour; edges are softened.
  const drawnIn = (colour: number[]) => page.waitForFunction((wanted) => {
    const canvas = document.querySelector('.chart canvas') as HTMLCanvasElement;
    const pixels = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
    for (let at = 0; at < pixels.length; at += 4) {
      if ((pixels[at + 3] ?? 0) > 128 && wanted.every((value, part) => Math.abs(value - (pixels[at + part] ?? 0)) < 10)) return true;
    }
    return false;
  }, colour);
  await page.emulateMedia({ colorScheme: 'light' });
  await drawnIn([31, 95, 208]);
  await page.emulateMedia({ colorScheme: 'dark' });
  await drawnIn([138, 180, 255]);
  assert.deepEqual([calls('GetStatus'), calls('WatchJob')], [1, 1], 'nothing is asked for twice');
  await wholeScreenshot(page, 'readings');
});

test('hostile_words_stay_words_everywhere', async () => {
  const name = `${HOSTILE}\u202egnp.exe`;
  const taskId = running({
    url: `http://example.test/${HOSTILE}`, message: HOSTILE, labels: { [HOSTILE]: HOSTILE }, host: HOSTILE,
    files: [{ name, kind: Kind.DOWNLOAD, sizeBytes: 3n, keptAt: now() }],
  });
  jobs.say(taskId, { text: `${HOSTILE}\u202e`, url: `javascript:${HOSTILE}` });
  const page = await openJob(taskId);
  fake.sample(taskId, { pageTitle: HOSTILE, progress: 1, progressMessage: HOSTILE, dialog: { kind: Dialog.ALERT, message: HOSTILE }, pageUrl: `javascript:${HOSTILE}` });
  fake.change(taskId, {
    status: Status.FAILED, done: true, isProcessAlive: true, reason: Reason.CALLBACK,
    callback: create(CallbackReportSchema, { status: Status.FAILED, message: HOSTILE, result: HOSTILE }), finishedAt: now(),
  });
  await panel(page, 'Result').getByText(HOSTILE).waitFor();
  await panel(page, 'Log').getByText(`${HOSTILE}\ufffd`).waitFor();
  await panel(page, 'Files').getByText(`${HOSTILE}\ufffdgnp.exe`).waitFor();
  assert.equal(await page.locator('main img').count(), 0);
  assert.ok(!(await page.title()).startsWith('1'));
  for (const href of await page.locator('a').evaluateAll((links) => links.map((link) => link.getAttribute('href') ?? ''))) assert.doesNotMatch(href, /^javascript/i);
});

test('a_file_is_saved_whole_over_a_cut_and_under_a_safe_name', async () => {
  const content = Buffer.from(Array.from({ length: 10_000 }, (_, at) => at % 251));
  const taskId = running({ files: [{ name: '../a\u202eb.txt', kind: Kind.DOWNLOAD, sizeBytes: BigInt(content.length), keptAt: now() }] });
  jobs.files.set('../a\u202eb.txt', content);
  jobs.cutAfter = 4096;
  const page = await openJob(taskId);
  const saving = page.waitForEvent('download');
  await panel(page, 'Files').getByRole('button', { name: /^Save/ }).click();
  const download = await saving;
  assert.equal(download.suggestedFilename(), '_a_b.txt');
  const parts: Buffer[] = [];
  for await (const part of await download.createReadStream()) parts.push(part as Buffer);
  assert.deepEqual(Buffer.concat(parts), content);
  assert.deepEqual(jobs.filesRead.map(({ offset }) => Number(offset)), [0, 4096]);
  await panel(page, 'Files').getByText('Handed to the browser\u2019s downloads.').waitFor();
  jobs.files.clear();
  await panel(page, 'Files').getByRole('button', { name: /^Save/ }).click();
  await panel(page, 'Files').getByText('has no file').waitFor();
});

test('a_screenshot_is_shown_enlarged_by_the_keyboard_and_says_what_went_wrong', async () => {
  const taskId = running();
  const page = await openJob(taskId);
  jobs.captureProblem = { code: Code.FailedPrecondition, reason: 'CAPTURE_UNAVAILABLE', words: 'the page cannot be pictured now: a dialog is open' };
  await act(page, 'Take screenshot').click();
  await saidBy(page).getByText('The page cannot be pictured now: a dialog is open.').waitFor();
  jobs.captureProblem = undefined;
  await act(page, 'Take screenshot').click();
  await saidBy(page).getByText('The screenshot is taken.').waitFor();
  await panel(page, 'Picture').getByText(/Taken of its page at .*, 1280 × 720/).waitFor();
  await page.waitForFunction(() => (document.querySelector('.enlarge img') as HTMLImageElement).naturalWidth === 1);
  const enlarge = page.getByRole('button', { name: 'Enlarge the picture' });
  await enlarge.focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  assert.ok(await enlarge.evaluate((button) => button === document.activeElement), 'the focus is back where it was');
  const saving = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Save picture' }).click();
  assert.equal((await saving).suggestedFilename(), `${taskId}.png`);
});

test('each_action_says_what_happened', async () => {
  const taskId = running();
  const page = await openJob(taskId);
  await act(page, 'Focus window').click();
  await saidBy(page).getByText('The window is before all others.').waitFor();
  jobs.focusOutcome = Outcome.REQUESTED;
  await act(page, 'Focus window').click();
  await saidBy(page).getByText('has not brought it yet').waitFor();
  await act(page, 'Cancel').click();
  await saidBy(page).getByText('The task is told to end.').waitFor();
  await page.getByRole('heading', { name: /^Stopping/ }).waitFor();
  assert.deepEqual(fake.cancelled, [taskId]);
  assert.equal(await act(page, 'Cancel').count(), 0);
  await act(page, 'Kill now').click();
  await fake.until('it is asked for by force', () => fake.cancelled.length === 2);
  await saidBy(page).getByText('It is told to be killed.').waitFor();
});

test('running_again_goes_to_the_page_of_the_new_job', async () => {
  const taskId = running({ status: Status.DONE, done: true, reason: Reason.PAGE_CLOSED, finishedAt: now(), isProcessAlive: false });
  const page = await openJob(taskId);
  await act(page, 'Run again').click();
  await page.getByRole('heading', { name: /^Waiting/ }).waitFor();
  const next = fake.executed[0];
  assert.equal(next?.url, 'http://example.test/report');
  assert.notEqual(next?.requestId, '', 'a lost answer makes no second job');
  assert.doesNotMatch(page.url(), new RegExp(taskId));
  await page.goBack();
  await page.getByRole('heading', { name: /^Done/ }).waitFor();
});

test('lines_for_a_terminal_are_copied_and_hold_no_token', async () => {
  const taskId = running();
  const page = await openJob(taskId);
  const commands = panel(page, 'In a terminal');
  await commands.getByText('The same by').click();
  await commands.getByRole('button', { name: 'Copy: How it stands, by curl' }).click();
  await commands.getByText('Copied').waitFor();
  const line = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(line, `curl -sSN -H "authorization: Bearer $(comet-task-runner token)" --json '{"taskId": "${taskId}"}' ${fake.url}/comet.taskrunner.v1.TaskRunner/GetStatus`);
  assert.doesNotMatch(await commands.innerText(), /Bearer good/);
});

test('a_narrow_window_cuts_nothing_off', async () => {
  const long = 'x'.repeat(300);
  const taskId = running({ url: `http://example.test/${long}`, labels: { [long.slice(0, 63)]: long.slice(0, 255) }, message: long,
    files: [{ name: `${long}.txt`, kind: Kind.DOWNLOAD, sizeBytes: 3n, keptAt: now() }], callback: create(CallbackReportSchema, { result: JSON.stringify({ long }) }) });
  jobs.say(taskId, { text: long, url: `http://example.test/${long}` });
  const page = await openJob(taskId);
  await panel(page, 'In a terminal').getByText('The same by').click();
  for (const width of [320, 600, 1100]) {
    await page.setViewportSize({ width, height: 900 });
    await fits(page);
  }
  await page.setViewportSize({ width: 320, height: 900 });
  await accessible(page);
});
