// The list and what is around it, in a real browser, before a service of which each test knows all.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { create } from '@bufbuild/protobuf';
import type { Page } from 'playwright-core';

import {
  ExecuteRequest_AfterFinish as AfterFinish, GetRunnerResponse_LoadSchema, GetRunnerResponse_Scope as Scope, Job_Reason as Reason, Job_Status as Status, JobSchema,
  Sample_QueueReason as QueueReason,
} from '../../src/gen/comet/taskrunner/v1/task_runner_pb.ts';
import type { Fake } from '../fake.ts';
import { CAPABILITIES, ListFake } from '../list-fake.ts';
import { beforeFake, connection, open, screenshot, signedIn } from './support.ts';

const AXE = readFileSync('node_modules/axe-core/axe.min.js', 'utf8');

let fake: Fake;
let list: ListFake;

const at = beforeFake((made) => {
  fake = made;
  list = new ListFake(fake);
}, (url) => ({ viewport: { width: 1280, height: 800 }, ...signedIn(url) }));

async function enter(path = '/'): Promise<Page> {
  const page = await open(at.context, `${fake.url}${path}`);
  await connection(page, 'Live');
  return page;
}

const ago = (seconds: number) => ({ seconds: BigInt(Math.floor(Date.now() / 1000 - seconds)), nanos: 0 });
const BROWSER = { name: 'chromium', headless: false, capabilities: CAPABILITIES };

function ended(status: Status, fields: object = {}): string {
  return fake.change(fake.taskId(), { status, reason: status === Status.DONE ? Reason.PAGE_CLOSED : Reason.PAGE_CRASHED, done: true, createdAt: ago(90), startedAt: ago(80), finishedAt: ago(60), ...fields }).taskId;
}

function running(fields: object = {}): string {
  return fake.change(fake.taskId(), { status: Status.RUNNING, reason: Reason.LAUNCHED, createdAt: ago(30), startedAt: ago(20), isProcessAlive: true, browser: BROWSER, ...fields }).taskId;
}

/** What axe-core complains of. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run(): Promise<{ violations: { id: string; nodes: { html: string; failureSummary: string }[] }[] }> } };
    const { violations } = await axe.run();
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`));
  });
}

const urls = (page: Page) => page.locator('.job .open').allInnerTexts();
/** Waits until the list shows exactly these addresses, in this order. */
async function shows(page: Page, ...wanted: string[]): Promise<void> {
  await page.waitForFunction((texts) => JSON.stringify([...document.querySelectorAll('.job .open')].map((one) => one.textContent)) === texts, JSON.stringify(wanted))
    .catch(async () => assert.deepEqual(await urls(page), wanted));
}

function everyKind(): void {
  for (let at = 0; at < 8; at += 1) ended(Status.DONE, { url: `https://shop.example.org/orders/${1017 + at}`, labels: { env: 'prod', team: 'billing' } });
  ended(Status.LOST, { url: 'https://intranet.example.org/report', reason: Reason.SHIM_DIED });
  ended(Status.TIMED_OUT, { url: 'https://slow.example.org/', reason: Reason.RUN_TIMEOUT, labels: { env: 'test' } });
  ended(Status.FAILED, { url: 'http://127.0.0.1:9/', reason: Reason.NAVIGATION_FAILED, page: { netError: 'net::ERR_CONNECTION_REFUSED' } });
  ended(Status.CANCELLED, { url: 'https://example.org/', reason: Reason.CANCEL_REQUESTED });
  ended(Status.DONE, { url: 'https://shop.example.org/invoices', reason: Reason.CALLBACK, callback: { message: 'sent all 12' } });
}

test('the_list_and_all_around_it_suit_screen_readers_dark_and_light', async () => {
  everyKind();
  const waiting = fake.change(fake.taskId(), { createdAt: ago(15), url: 'https://shop.example.org/orders/1025' }).taskId;
  const invoices = running({ url: 'https://shop.example.org/invoices', labels: { env: 'prod' } });
  fake.problems = [{ what: 'little memory is left', remedy: 'close something' }];
  const page = await enter();
  fake.sample(invoices, { progress: 40, progressMessage: 'sending invoice 5 of 12', pageTitle: 'Invoices', pageUrl: 'https://shop.example.org/invoices?page=5', processInfo: { cpuPercent: 31.4, memoryMb: 312.2 } });
  fake.sample(waiting, { queuePosition: 2, queueReason: QueueReason.SLOT });
  await page.getByText('place 2 in the queue').waitFor();
  await page.getByText('All slots are taken.').waitFor();
  await page.getByRole('link', { name: 'Invoices', exact: true }).waitFor();
  await screenshot(page, 'dashboard');
  await page.getByRole('button', { name: 'Runner' }).click();
  await page.getByRole('button', { name: 'Options' }).click();
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await violations(page), [], colorScheme);
  }
  await screenshot(page, 'options-and-runner');
  await page.getByRole('button', { name: 'Keys' }).click();
  await page.getByRole('dialog', { name: 'Keys' }).waitFor();
  assert.deepEqual(await violations(page), []);
  await page.keyboard.press('Escape');
  await page.setViewportSize({ width: 320, height: 640 });
  assert.deepEqual(await violations(page), []);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320, 'nothing sticks out of a narrow screen');
});

test('without_a_token_and_without_tasks_it_suits_screen_readers_too', async () => {
  const page = await enter();
  await page.getByText('No tasks yet').waitFor();
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await violations(page), [], colorScheme);
  }
  fake.tokens.clear();
  fake.cut();
  await connection(page, 'Token needed');
  assert.deepEqual(await violations(page), []);
});

test('what_is_asked_of_the_list_stands_in_the_address', async () => {
  everyKind();
  const page = await enter();
  await page.getByRole('button', { name: /^Failed/ }).click();
  await shows(page, 'http://127.0.0.1:9/');
  await page.getByRole('button', { name: /^Timed out/ }).click();
  await shows(page, 'http://127.0.0.1:9/', 'https://slow.example.org/');
  await page.getByRole('button', { name: 'Only tasks with env=test' }).or(page.getByTitle('Only tasks with env=test')).click();
  await shows(page, 'https://slow.example.org/');
  assert.equal(new URL(page.url()).hash, '#/?status=FAILED,TIMED_OUT&label=env%3Dtest');
  const other = await enter(`/${new URL(page.url()).hash}`);
  await shows(other, 'https://slow.example.org/');
  await other.getByRole('button', { name: 'Show all' }).click();
  await other.getByRole('searchbox').fill('ORDERS/102');
  await shows(other, ...[1024, 1023, 1022, 1021, 1020].map((number) => `https://shop.example.org/orders/${number}`));
  await other.getByText('5 of 13').waitFor();
  // One that comes later and is like that joins; one that is not stays out.
  ended(Status.DONE, { url: 'https://elsewhere.example.org/' });
  ended(Status.DONE, { url: 'https://new.example.org/orders/1029' });
  await other.getByText('6 of 15').waitFor();
  await other.getByRole('searchbox').fill('nothing like that');
  await other.getByText('No task here is like that.').waitFor();
  await other.getByRole('button', { name: 'Show all tasks' }).click();
  await other.getByText('https://elsewhere.example.org/').waitFor();
  await other.getByLabel('Only tasks with the label').fill('team=billing');
  await other.keyboard.press('Enter');
  await other.getByText('8 of 15').waitFor();
  await other.getByRole('button', { name: 'No longer only team=billing' }).click();
  assert.equal(new URL(other.url()).hash, '#/');
});

test('a_title_that_comes_later_is_found_by_its_text', async () => {
  const taskId = running({ url: 'https://example.org/x' });
  const page = await enter('/#/?text=inbox');
  await page.getByText('No task here is like that.').waitFor();
  fake.sample(taskId, { pageTitle: 'Inbox (3)' });
  await shows(page, 'Inbox (3)');
});

test('the_list_is_sorted_as_wanted_and_stays_so_as_tasks_change', async () => {
  const short = ended(Status.DONE, { url: 'https://a/', startedAt: ago(80), finishedAt: ago(79) });
  ended(Status.FAILED, { url: 'https://b/', startedAt: ago(80), finishedAt: ago(50) });
  const live = running({ url: 'https://c/' });
  const page = await enter();
  await shows(page, 'https://c/', 'https://b/', 'https://a/');
  await page.getByRole('button', { name: 'Accepted' }).click();
  await shows(page, 'https://a/', 'https://b/', 'https://c/');
  assert.equal(await page.getByRole('columnheader', { name: 'Accepted' }).getAttribute('aria-sort'), 'ascending');
  await page.getByRole('button', { name: 'Time' }).click();
  await shows(page, 'https://c/', 'https://b/', 'https://a/');
  await page.getByRole('button', { name: 'Status' }).click();
  await shows(page, 'https://c/', 'https://b/', 'https://a/');
  fake.change(live, { status: Status.DONE, reason: Reason.CALLBACK, done: true, finishedAt: ago(0) });
  await shows(page, 'https://b/', 'https://c/', 'https://a/');
  fake.remove(short);
  await shows(page, 'https://b/', 'https://c/');
});

test('of_thousands_only_those_in_sight_are_drawn_and_each_can_be_reached', async () => {
  for (let at = 0; at < 3000; at += 1) ended(Status.DONE, { url: `https://example.org/${at}` });
  const page = await enter();
  await page.getByRole('link', { name: 'https://example.org/2999' }).waitFor();
  assert.equal(await page.getByRole('table').getAttribute('aria-rowcount'), '3001');
  assert.ok(await page.locator('.job').count() < 50, 'few are drawn');
  const focused = () => page.evaluate(() => document.activeElement?.textContent);
  const isAt = (text: string) => page.waitForFunction((wanted) => document.activeElement?.textContent === wanted, text);
  await page.keyboard.press('j');
  await isAt('https://example.org/2999');
  await page.keyboard.press('j');
  await isAt('https://example.org/2998');
  await page.keyboard.press('k');
  await isAt('https://example.org/2999');
  await page.keyboard.press('End');
  await isAt('https://example.org/0');
  const last = page.locator('[aria-rowindex="3001"]');
  assert.ok(((await last.boundingBox())?.y ?? 9999) < 800, 'it is in sight');
  // The row is there before those around it, which are drawn with the next frame.
  await page.locator('[aria-rowindex="3000"]').waitFor();
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Shift+Tab');
  assert.equal(await focused(), 'https://example.org/1', 'from row to row');
  // Scrolled far away, the focus stays, and what one reads stays where it is while others come above it.
  await page.mouse.move(600, 600);
  await page.evaluate(() => scrollTo(0, 60_000));
  await page.waitForFunction(() => [...document.querySelectorAll('.job')].some((row) => Math.abs(row.getBoundingClientRect().top - 400) < 60));
  assert.equal(await focused(), 'https://example.org/1');
  const reads = () => page.evaluate(() => {
    const row = [...document.querySelectorAll('.job')].find((one) => one.getBoundingClientRect().top > 300) as HTMLElement;
    return `${row.querySelector('.open')?.textContent} ${Math.round(row.getBoundingClientRect().top)}`;
  });
  const before = await reads();
  const [text] = before.split(' ');
  for (let at = 0; at < 5; at += 1) ended(Status.DONE, { url: `https://example.org/new/${at}` });
  await page.waitForFunction(() => document.querySelector('[role=table]')?.getAttribute('aria-rowcount') === '3006');
  assert.equal(await reads(), before, text);
});

test('a_row_that_moves_keeps_the_focus', async () => {
  running({ url: 'https://b/' });
  const taskId = fake.change(fake.taskId(), { url: 'https://c/' }).taskId;
  const page = await enter('/#/?sort=status');
  await shows(page, 'https://b/', 'https://c/');
  await page.getByRole('link', { name: 'https://c/' }).focus();
  fake.change(taskId, { status: Status.RUNNING, reason: Reason.LAUNCHED, startedAt: ago(0) });
  await shows(page, 'https://c/', 'https://b/');
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'https://c/');
});

test('older_tasks_come_page_by_page_with_the_same_filter_and_no_double', async () => {
  const old = (number: number, status: Status) => create(JobSchema, {
    taskId: `0180b0c0-0000-7000-8000-${String(number).padStart(12, '0')}`, url: `https://old.example.org/${number}`, status, reason: Reason.PAGE_CRASHED, done: true, revision: 4n,
    createdAt: ago(200_000 + number), startedAt: ago(200_000), finishedAt: ago(190_000),
  });
  for (let at = 9; at >= 0; at -= 1) list.old.push(old(at, at % 2 === 0 ? Status.FAILED : Status.DONE));
  list.pageMax = 3;
  const known = ended(Status.FAILED, { url: 'https://known.example.org/', createdAt: ago(150_000) });
  const page = await enter('/#/?status=FAILED');
  await shows(page, 'https://known.example.org/');
  const more = page.getByRole('button', { name: 'Older tasks' });
  await more.click();
  await page.getByText('2 older tasks came.').waitFor();
  await shows(page, 'https://known.example.org/', 'https://old.example.org/8', 'https://old.example.org/6');
  await more.click();
  await page.getByText('There are no older ones.').waitFor();
  await shows(page, 'https://known.example.org/', ...[8, 6, 4, 2, 0].map((number) => `https://old.example.org/${number}`));
  assert.equal(await more.count(), 0);
  assert.deepEqual(list.listed.map(({ statuses, pageToken }) => `${statuses.join()} ${pageToken}`), [`${Status.FAILED} `, `${Status.FAILED} 3`]);
  // The service forgets one of them, and one of those it pushes.
  fake.remove(list.old[1]?.taskId ?? '');
  fake.remove(known);
  await shows(page, ...[6, 4, 2, 0].map((number) => `https://old.example.org/${number}`));
});

test('the_form_is_checked_as_one_writes_and_says_what_is_wrong_where', async () => {
  const page = await enter();
  const field = page.getByLabel('Address to open');
  await field.fill('ftp://example.test/');
  await page.getByText('The scheme must be http or https.').waitFor();
  assert.equal(await field.getAttribute('aria-invalid'), 'true');
  await field.fill('http://example.test/');
  await fake.until('the right address was looked at', () => fake.validated.some(({ url }) => url === 'http://example.test/'));
  await page.getByText('The scheme must be http or https.').waitFor({ state: 'detached' });
  assert.equal(fake.executed.length, 0, 'nothing was started');
  await page.getByRole('button', { name: 'Options' }).click();
  await page.getByRole('textbox', { name: 'Running', exact: true }).fill('soon');
  await page.getByText('Write a time such as').waitFor();
  await page.getByRole('textbox', { name: 'Running', exact: true }).fill('1 h 30 min');
  await page.getByLabel('Browser', { exact: true }).selectOption('firefox');
  assert.deepEqual(await page.getByLabel('What is asked of it').locator('option').allInnerTexts(), ['The most that it can', 'Exit only']);
  await page.getByLabel('Then its browser').selectOption({ label: 'Stays open' });
  await page.getByRole('textbox', { name: 'Labels' }).fill('env=prod\nteam=billing');
  await page.getByRole('checkbox', { name: 'HTTP 400 and above is failed' }).check();
  await page.getByRole('textbox', { name: 'Priority' }).fill('5');
  await field.focus();
  await page.keyboard.press('Enter');
  await fake.until('it was started', () => fake.executed.length === 1);
  const [{ browser: name, labels, timeouts, afterFinish, failOnHttpError, priority, validateOnly }] = fake.executed as [(typeof fake.executed)[0]];
  assert.deepEqual([name, labels, timeouts?.run?.seconds, afterFinish, failOnHttpError, priority, validateOnly],
    ['firefox', { env: 'prod', team: 'billing' }, 5400n, AfterFinish.KEEP_OPEN, true, 5, false]);
  await page.getByText('The task waits for its turn.').waitFor();
  await page.getByRole('button', { name: 'Options (6)' }).waitFor();
  await page.getByRole('link', { name: 'See it' }).click();
  await page.waitForFunction((id) => location.hash === `#/tasks/${id}`, [...fake.jobs.keys()][0]);
});

test('only_the_last_answer_to_what_is_written_counts', async () => {
  const page = await enter();
  const field = page.getByLabel('Address to open');
  // Held back until the next one was answered.
  let release = () => {};
  const held = new Promise<void>((resolve) => { release = resolve; });
  let seen = () => {};
  const asked = new Promise<void>((resolve) => { seen = resolve; });
  await page.route('**/Execute', async (route) => {
    if (!(route.request().postDataBuffer()?.includes('ftp://first')) ) return route.continue();
    seen();
    await held;
    await route.continue().catch(() => { /* It was dropped, as it should be. */ });
  });
  await field.fill('ftp://first/');
  await asked;
  // Sooner than its own time limit would end it.
  const dropped = page.waitForEvent('requestfailed', { predicate: (request) => request.url().endsWith('/Execute'), timeout: 5000 });
  await field.fill('http://second/');
  await dropped;
  await fake.until('the second was looked at', () => fake.validated.length === 1);
  release();
  await page.unrouteAll({ behavior: 'wait' });
  assert.equal(await field.getAttribute('aria-invalid'), 'false');
});

test('each_action_says_what_came_of_it', async () => {
  const taskId = running({ url: 'https://example.org/live', labels: { env: 'prod' } });
  const gone = ended(Status.FAILED, { url: 'https://example.org/over', labels: { env: 'test' } });
  const page = await enter();
  const notice = (words: string | RegExp) => page.locator('.notice').filter({ hasText: words }).waitFor();
  await page.getByRole('button', { name: 'Focus window https://example.org/live' }).click();
  await notice('The window is before all others.');
  assert.deepEqual(list.focused, [taskId]);
  list.focusProblem = 'the task has no window now';
  await page.getByRole('button', { name: 'Focus window https://example.org/live' }).click();
  await notice('Focus window: The task has no window now.');
  await page.getByRole('button', { name: 'Take screenshot https://example.org/live' }).click();
  const dialog = page.getByRole('dialog', { name: 'Screenshot' });
  await page.waitForFunction(() => document.querySelector<HTMLImageElement>('dialog img')?.naturalWidth === 1, undefined);
  await dialog.getByRole('button', { name: 'Close' }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Run again https://example.org/over' }).click();
  await fake.until('it was started', () => fake.executed.length === 1);
  assert.deepEqual([fake.executed[0]?.url, fake.executed[0]?.labels, fake.executed[0]?.priority], ['https://example.org/over', { env: 'test' }, 7]);
  await page.locator('.notice').filter({ hasText: 'The task waits for its turn.' }).getByRole('link', { name: 'See it' }).waitFor();
  assert.equal(await page.locator(`[data-task="${gone}"]`).getByRole('button', { name: /Cancel|Focus|screenshot/ }).count(), 0, 'nothing that it cannot');
  await page.getByRole('button', { name: 'Cancel https://example.org/live' }).click();
  await notice('The task is told to end.');
  assert.deepEqual(fake.cancelled, [taskId]);
});

test('a_session_that_may_only_watch_is_offered_no_action', async () => {
  fake.scopes.set('good', Scope.OBSERVE);
  running({ url: 'https://example.org/live' });
  const page = await enter();
  await page.getByRole('button', { name: 'Runner' }).click();
  await page.getByText('Watch only').waitFor();
  assert.equal(await page.getByLabel('Address to open').count(), 0);
  assert.equal(await page.locator('.job .acts button').count(), 0);
});

test('the_runner_is_asked_again_only_while_it_is_shown_and_something_changes', async () => {
  const taskId = running();
  const page = await enter();
  await fake.until('it was met', () => fake.runnersMet === 1);
  fake.change(taskId, {});
  await page.getByRole('button', { name: 'Runner' }).click();
  await fake.until('it is asked for what changed meanwhile', () => fake.runnersMet === 2);
  const panel = page.getByRole('region', { name: 'Runner' });
  await panel.getByText('3 of 4').first().waitFor();
  for (const words of ['1 of 2', '12 of 10000', '2 of 8', '1 of tasks that are over', '12.1 GiB', 'nothing starts below 512 MiB', 'bench-7, with a display', 'Everything', '156.0.7200.1']) {
    await panel.getByText(words).first().waitFor();
  }
  list.runner = { ...list.runner, load: create(GetRunnerResponse_LoadSchema, { slotsTaken: 4 }) };
  // Many changes at once are one question, and not before a second is over.
  const asked = Date.now();
  for (let at = 0; at < 20; at += 1) fake.change(taskId, {});
  await panel.getByText('4 of 4').first().waitFor();
  assert.equal(fake.runnersMet, 3);
  assert.ok(Date.now() - asked > 300, 'not at once');
  await page.getByRole('button', { name: 'Runner' }).click();
  fake.change(taskId, { message: 'unseen' });
  await page.getByText('unseen').waitFor();
  assert.equal(fake.runnersMet, 3);
});

test('keys_lead_everywhere_but_where_one_writes', async () => {
  const taskId = ended(Status.DONE, { url: 'https://example.org/a' });
  const page = await enter();
  await page.keyboard.press('/');
  assert.equal(await page.evaluate(() => document.activeElement?.id), 'look');
  await page.keyboard.type('n?j');
  assert.equal(await page.getByRole('searchbox').inputValue(), 'n?j');
  await page.getByRole('searchbox').fill('');
  await page.keyboard.press('Escape');
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keys' }).getByText('Look for a task').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.keyboard.press('j');
  await page.waitForFunction(() => document.activeElement?.textContent === 'https://example.org/a');
  await page.keyboard.press('Enter');
  await page.waitForFunction((id) => location.hash === `#/tasks/${id}` && document.activeElement?.id === 'heading', taskId);
  await page.keyboard.press('u');
  await page.waitForFunction(() => location.hash === '#/' && document.activeElement?.id === 'heading');
  await page.goBack();
  await page.waitForFunction((id) => location.hash === `#/tasks/${id}`, taskId);
  await page.keyboard.press('n');
  await page.waitForFunction(() => document.activeElement?.id === 'url');
  await page.reload();
  await page.getByRole('link', { name: 'https://example.org/a' }).waitFor();
});

test('dark_or_light_is_the_systems_choice_until_somebody_chooses', async () => {
  const page = await enter();
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const [light, dark] = ['rgb(245, 246, 248)', 'rgb(16, 20, 24)'];
  await page.emulateMedia({ colorScheme: 'dark' });
  assert.equal(await ground(), dark);
  await page.getByRole('button', { name: 'Colours: as the system has them' }).click();
  assert.equal(await ground(), light);
  await page.reload();
  await page.getByRole('button', { name: 'Colours: light' }).click();
  await page.emulateMedia({ colorScheme: 'light' });
  assert.equal(await ground(), dark);
  await page.getByRole('button', { name: 'Colours: dark' }).click();
  assert.equal(await ground(), light);
});

test('title_and_icon_count_what_runs_and_what_failed', async () => {
  running();
  const page = await enter();
  await page.waitForFunction(() => document.title === '(1 running) Comet Task Runner');
  const icon = () => page.locator('link[rel=icon]').getAttribute('href');
  const before = await icon();
  ended(Status.FAILED);
  ended(Status.TIMED_OUT);
  await page.waitForFunction(() => document.title === '(1 running, 2 failed) Comet Task Runner');
  assert.notEqual(await icon(), before);
});

test('whoever_asks_is_told_of_ends_while_the_page_is_hidden', async () => {
  await at.context.addInitScript(() => {
    const told: string[] = [];
    class Told extends EventTarget {
      static permission = 'default';
      static async requestPermission() { Told.permission = 'granted'; told.push('asked'); return 'granted'; }
      constructor(title: string, { body, tag }: { body: string; tag: string }) { super(); told.push(`${title} | ${body} | ${tag}`); }
      close() {}
    }
    Object.assign(globalThis, { Notification: Told, told });
    let hidden = false;
    Object.defineProperty(document, 'visibilityState', { get: () => (hidden ? 'hidden' : 'visible') });
    Object.assign(globalThis, { hide: (now: boolean) => { hidden = now; document.dispatchEvent(new Event('visibilitychange')); } });
  });
  const [first, second, third] = [running({ url: 'https://a/' }), running({ url: 'https://b/' }), running({ url: 'https://c/' })];
  const page = await enter();
  const told = () => page.evaluate(() => (globalThis as unknown as { told: string[] }).told);
  const hide = (now: boolean) => page.evaluate((value) => (globalThis as unknown as { hide(now: boolean): void }).hide(value), now);
  const end = (taskId: string) => fake.change(taskId, { status: Status.DONE, reason: Reason.PAGE_CLOSED, done: true, finishedAt: ago(0) });
  assert.deepEqual(await told(), [], 'nobody is asked before a click');
  await page.getByRole('button', { name: 'Notify me when tasks end' }).click();
  await page.getByText('You are told when a task ends').waitFor();
  end(first);
  await page.getByRole('button', { name: /^Done 1/ }).waitFor();
  assert.deepEqual(await told(), ['asked'], 'who looks needs no notification');
  await hide(true);
  end(second);
  await page.waitForFunction(() => (globalThis as unknown as { told: string[] }).told.length === 2);
  assert.deepEqual((await told())[1], `Done: https://b/ | The page was closed. | ${second}`);
  await hide(false);
  await page.getByRole('button', { name: 'Notifications are on' }).click();
  await hide(true);
  end(third);
  await page.waitForFunction(() => document.title === 'Comet Task Runner');
  assert.equal((await told()).length, 2);
});
