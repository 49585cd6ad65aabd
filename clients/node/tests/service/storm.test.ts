// Watches through five crashes of the service.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { type Job, JobsKind, type Runner, Status } from '../../src/index.js';
import { all, soon } from '../fake.js';
import { missing, Service, stubUrl } from '../service.js';

const JOBS = 20;
const KILLS = 5;
/** Longest wait for a stretch of the storm on a machine that is busy with other things. */
const STRETCH_MS = 40_000;

/** What watchers heard, and who waits for more of it. */
class Heard {
  readonly told = new Map<string, string[]>();
  count = 0;
  #waiting: { holds: () => boolean; resolve: () => void }[] = [];

  note(job: Job): void {
    const told = this.told.get(job.taskId) ?? [];
    this.told.set(job.taskId, [...told, `${job.revision} ${Status[job.status]}`]);
    this.count += 1;
    this.#waiting = this.#waiting.filter(({ holds, resolve }) => !holds() || (resolve(), false));
  }

  /** So many more than now. */
  more(count: number): Promise<void> {
    const wanted = this.count + count;
    return this.until(`change ${wanted}`, () => this.count >= wanted);
  }

  async until(what: string, holds: () => boolean): Promise<void> {
    if (holds()) return;
    await soon(new Promise<void>((resolve) => this.#waiting.push({ holds, resolve })), what, STRETCH_MS);
  }

  /** The latest revision of a job that was told. */
  latest(taskId: string): number {
    return revisions(this.told.get(taskId) ?? []).at(-1) ?? 0;
  }
}

describe('five crashes while twenty tasks are watched', { skip: missing }, () => {
  let service: Service;
  before(async () => { service = await new Service(['--slots', '8']).start(); });
  after(() => service.remove());

  test('every_change_of_each_is_told_exactly_once', async () => {
    const runner = await service.runner();
    const heard = new Heard();
    const crowd = new Heard();
    const leave = new AbortController();
    const watching = watchAll(await service.runner(), crowd, leave.signal);

    // The first crash meets most of these calls under way.
    const tasks = Array.from({ length: JOBS }, (_, n) => runner.run(stubUrl('/sleep'), { until: 'PROCESS_EXITED', labels: { n: String(n) } }));
    const ends = tasks.map(async (task) => { for await (const { job } of task) heard.note(job); });
    const stops: Promise<unknown>[] = [];
    for (let kill = 0; kill < KILLS; kill += 1) {
      await heard.more(4);
      await service.stop('SIGKILL');
      // Asked while nobody is there to hear it.
      const share = tasks.slice(kill * JOBS / KILLS, (kill + 1) * JOBS / KILLS);
      stops.push(...share.map((task, n) => (n % 2 === 0 ? task.cancel() : stop(runner, task.taskId()))));
      await service.start();
    }
    await soon(Promise.all([...ends, ...stops]), 'the end of all tasks', STRETCH_MS);

    const taskIds = await Promise.all(tasks.map((task) => task.taskId()));
    assert.equal(new Set(taskIds).size, JOBS);
    assert.equal((await all(runner.listJobs())).length, JOBS, 'no call made a second job');
    for (const taskId of taskIds) {
      const told = heard.told.get(taskId) ?? [];
      assert.deepEqual(revisions(told), Array.from(told, (_, n) => n + 1), `${taskId}: ${told.join(', ')}`);
      // What a watcher hears that was never cut.
      const truth = (await all(runner.watch(taskId, { fromStart: true, until: 'PROCESS_EXITED' }))).map(({ job }) => `${job.revision} ${Status[job.status]}`);
      assert.deepEqual(told, truth);
      assert.ok(told.length >= 2, told.join(', '));
    }

    // The one stream of all of them has told each change once too, from where its first word of a job was on.
    await crowd.until('the last change of each', () => taskIds.every((taskId) => crowd.latest(taskId) === heard.latest(taskId)));
    leave.abort();
    await watching;
    for (const taskId of taskIds) {
      const told = revisions(crowd.told.get(taskId) ?? []);
      assert.deepEqual(told, Array.from(told, (_, n) => (told[0] ?? 0) + n), taskId);
    }
  });
});

const revisions = (told: string[]) => told.map((words) => Number.parseInt(words, 10));

/** Ends a task by a report, unless its browser never came up. */
async function stop(runner: Runner, taskId: Promise<string>): Promise<void> {
  await runner.report(await taskId, { status: 'DONE' }).catch(async () => runner.cancel(await taskId, { force: true }));
}

async function watchAll(runner: Runner, heard: Heard, signal: AbortSignal): Promise<void> {
  try {
    for await (const { kind, job, reset } of runner.watchJobs({ signal })) {
      assert.ok(!reset, 'the store is the same all the time');
      if (kind === JobsKind.CHANGE && job) heard.note(job);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
