// What a session may, in a real browser: nothing until it is known, and all of it once it changes.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Page } from 'playwright-core';

import { GetRunnerResponse_Scope as Scope, Job_Reason as Reason, Job_Status as Status } from '../../src/gen/comet/taskrunner/v1/task_runner_pb.ts';
import type { Fake } from '../fake.ts';
import { JobFake, now } from '../job-fake.ts';
import { beforeFake, connection, open } from './support.ts';

let fake: Fake;
let jobs: JobFake;

const at = beforeFake((made) => {
  fake = made;
  jobs = new JobFake(fake);
  fake.tokens.add('watcher');
  fake.scopes.set('watcher', Scope.OBSERVE);
}, () => ({ viewport: { width: 1100, height: 900 } }));

function running(): string {
  const taskId = fake.taskId();
  fake.change(taskId, { url: 'http://example.test/report' });
  fake.change(taskId, { status: Status.RUNNING, reason: Reason.LAUNCHED, startedAt: now(), processId: 4711, isProcessAlive: true });
  return taskId;
}

/** A tab that a link leads to, for a session with this token. */
async function enter(token: string, path = ''): Promise<Page> {
  fake.codes.set(`for-${token}`, token);
  const page = await open(at.context, `${fake.url}/#code=for-${token}`);
  await connection(page, 'Live');
  if (path !== '') await page.goto(`${fake.url}/${path}`);
  return page;
}

const field = (page: Page) => page.getByLabel('Address to open');
const acts = (page: Page) => page.getByRole('group', { name: 'Actions' });
const looksOn = (page: Page) => page.getByText('This session may look on; it may not act.').waitFor();

test('a_link_of_another_scope_is_followed_at_once_in_every_tab', async () => {
  const taskId = running();
  const list = await enter('watcher');
  const task = await open(at.context, `${fake.url}/#/tasks/${taskId}`);
  await looksOn(task);
  assert.equal(await field(list).count(), 0);
  await list.getByRole('button', { name: 'Runner' }).click();
  await list.getByText('Watch only').waitFor();

  const more = await enter('good');
  for (const tab of [list, more]) await field(tab).waitFor();
  await list.getByText('Everything').waitFor();
  await acts(task).getByRole('button', { name: 'Cancel' }).waitFor();
  await fake.until('there is one stream', () => fake.watched.length === 2 && fake.openStreams === 1);

  // What is read from here on is read with the new one.
  fake.tokens.delete('watcher');
  const other = running();
  await task.goto(`${fake.url}/#/tasks/${other}`);
  await fake.until('its log is read', () => jobs.logsRead.some((read) => read.taskId === other));
  await acts(task).getByRole('button', { name: 'Cancel' }).waitFor();
  assert.equal(fake.refusals, 0);

  fake.tokens.add('watcher');
  await enter('watcher');
  await looksOn(task);
  for (const tab of [list, more]) await field(tab).waitFor({ state: 'detached' });
  await list.getByText('Watch only').waitFor();
  await list.locator('.job').first().waitFor();
  assert.equal(await list.locator('.job .acts button').count(), 0);
});

test('a_task_page_of_a_session_that_may_only_watch_shows_all_and_offers_no_action', async () => {
  const taskId = running();
  jobs.say(taskId, { text: 'first words' });
  const page = await enter('watcher', `#/tasks/${taskId}`);
  await looksOn(page);
  await page.getByRole('log').getByText('first words').waitFor();
  await page.getByRole('region', { name: 'What happened' }).getByRole('listitem').nth(1).waitFor();
  assert.equal(await acts(page).count(), 0);
  await page.keyboard.press('n');
  await page.getByRole('heading', { name: 'Tasks' }).waitFor();
  assert.equal(await field(page).count(), 0);
  assert.deepEqual([...new Set(jobs.called)].sort(), ['GetStatus', 'ReadLog', 'WatchJob']);
});

test('nothing_is_offered_until_it_is_known_what_the_session_may_and_that_is_asked_until_it_is_answered', async () => {
  fake.runnerFailures = Infinity;
  running();
  const page = await enter('good');
  await page.locator('.job').waitFor();
  await fake.until('it is asked again', () => fake.runnersMet >= 3);
  assert.deepEqual([await field(page).count(), await page.locator('.job .acts button').count()], [0, 0]);
  fake.runnerFailures = 0;
  await field(page).waitFor();
  await page.locator('.job').getByRole('button', { name: /^Cancel/ }).waitFor();
  await page.getByText('Version 1.2.3').waitFor();
  assert.equal(fake.watched.length, 1, 'the stream has nothing to do with it');
});
