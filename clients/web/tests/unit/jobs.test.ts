import assert from 'node:assert/strict';
import { test } from 'node:test';

import { create, type MessageInitShape } from '@bufbuild/protobuf';

import { type Job, JobSchema, WatchJobsResponse_Kind as Kind, WatchJobsResponseSchema } from '../../src/gen/comet/taskrunner/v1/task_runner_pb.ts';
import { FINISHED_MAX, FINISHED_SURPLUS, Jobs } from '../../src/jobs.ts';

const message = (fields: MessageInitShape<typeof WatchJobsResponseSchema>) => create(WatchJobsResponseSchema, fields);
const job = (taskId: string, revision: number, done = false): Job => create(JobSchema, { taskId, revision: BigInt(revision), done });
const snapshot = (taskId: string, revision: number, reset = false) =>
  message({ kind: Kind.SNAPSHOT, taskId, job: job(taskId, revision), reset });
const synced = (resumeToken: string, reset = false) => message({ kind: Kind.SYNCED, resumeToken, reset });
const change = (taskId: string, revision: number, resumeToken: string) =>
  message({ kind: Kind.CHANGE, taskId, job: job(taskId, revision), resumeToken });
const known = (jobs: Jobs) => jobs.all().map(({ taskId, revision }) => `${taskId}${revision}`).sort().join(' ');

function synchronised(...ids: string[]): Jobs {
  const jobs = new Jobs();
  jobs.begin();
  for (const taskId of ids) jobs.apply(snapshot(taskId, 1));
  jobs.apply(synced('1'));
  return jobs;
}

test('a_snapshot_counts_when_it_is_whole', () => {
  const jobs = new Jobs();
  jobs.begin();
  assert.deepEqual(jobs.apply(snapshot('a', 3)), { kind: 'nothing' });
  assert.equal(known(jobs), '');
  assert.deepEqual(jobs.apply(synced('7')), { kind: 'all' });
  assert.equal(known(jobs), 'a3');
  assert.equal(jobs.resumeToken, '7');
});

test('a_fresh_snapshot_drops_what_is_not_in_it', () => {
  const jobs = synchronised('a', 'b');
  jobs.distrust();
  jobs.begin();
  jobs.apply(snapshot('b', 4));
  assert.equal(known(jobs), 'a1 b1', 'until it is whole, the old one stays');
  jobs.apply(synced('9'));
  assert.equal(known(jobs), 'b4');
});

test('a_snapshot_that_was_cut_is_begun_again', () => {
  const jobs = new Jobs();
  jobs.begin();
  jobs.apply(snapshot('a', 1));
  jobs.begin();
  assert.equal(jobs.resumeToken, '');
  jobs.apply(snapshot('b', 1));
  jobs.apply(synced('2'));
  assert.equal(known(jobs), 'b1');
});

test('resuming_keeps_everything', () => {
  const jobs = synchronised('a', 'b');
  jobs.begin();
  jobs.apply(change('a', 2, '2'));
  assert.equal(jobs.apply(synced('2')).kind, 'samples');
  assert.equal(known(jobs), 'a2 b1');
});

test('a_change_counts_once', () => {
  const jobs = synchronised('a');
  assert.equal(jobs.apply(change('a', 2, '2')).kind, 'changed');
  assert.deepEqual(jobs.apply(change('a', 2, '2')), { kind: 'nothing' });
  assert.deepEqual(jobs.apply(change('a', 1, '2')), { kind: 'nothing' });
  assert.equal(known(jobs), 'a2');
});

test('a_hole_is_told_and_applies_nothing', () => {
  const jobs = synchronised('a');
  assert.deepEqual(jobs.apply(change('a', 3, '3')), { kind: 'hole', taskId: 'a', known: 1n, told: 3n });
  assert.equal(known(jobs), 'a1');
  assert.equal(jobs.resumeToken, '1');
});

test('a_job_of_before_the_snapshot_may_change_late', () => {
  const jobs = synchronised();
  assert.equal(jobs.apply(change('old', 5, '2')).kind, 'changed');
  assert.equal(known(jobs), 'old5');
});

test('a_reset_forgets_what_is_not_in_its_snapshot', () => {
  const jobs = synchronised('a', 'b');
  jobs.begin();
  jobs.apply(snapshot('c', 2, true));
  assert.equal(jobs.resumeToken, '', 'a cut now must not resume at the old place');
  jobs.apply(synced('1'));
  assert.equal(known(jobs), 'c2');
});

test('a_reset_to_an_empty_store_forgets_all', () => {
  const jobs = synchronised('a');
  jobs.begin();
  assert.deepEqual(jobs.apply(synced('0', true)), { kind: 'all' });
  assert.equal(known(jobs), '');
});

test('a_reset_may_take_a_job_back', () => {
  const jobs = synchronised('a');
  jobs.apply(change('a', 2, '2'));
  jobs.begin();
  jobs.apply(snapshot('a', 1, true));
  jobs.apply(synced('1'));
  assert.equal(known(jobs), 'a1');
  assert.equal(jobs.apply(change('a', 2, '2')).kind, 'changed');
});

test('a_removed_job_is_gone', () => {
  const jobs = synchronised('a', 'b');
  const removed = message({ kind: Kind.REMOVED, taskId: 'a', resumeToken: '2' });
  assert.deepEqual(jobs.apply(removed), { kind: 'removed', taskIds: ['a'] });
  assert.deepEqual(jobs.apply(removed), { kind: 'removed', taskIds: ['a'] }, 'an older one that a tab has must go too');
  assert.equal(known(jobs), 'b1');
});

test('a_heartbeat_has_all_readings_and_a_sample_some', () => {
  const jobs = synchronised('a', 'b');
  const reading = (kind: Kind, taskId: string, progress: number) =>
    message({ kind, samples: [{ taskId, sample: { progress } }], resumeToken: '1' });
  jobs.apply(reading(Kind.SAMPLE, 'a', 1));
  jobs.apply(reading(Kind.SAMPLE, 'b', 2));
  assert.deepEqual(Object.keys(jobs.samples()), ['a', 'b']);
  jobs.apply(reading(Kind.HEARTBEAT, 'b', 3));
  assert.deepEqual(Object.keys(jobs.samples()), ['b']);
  assert.equal(jobs.samples()['b']?.progress, 3);
});

test('of_too_many_finished_jobs_the_oldest_go', () => {
  const jobs = new Jobs(1000, () => 5_000_000);
  jobs.begin();
  const id = (at: number) => String(at).padStart(6, '0');
  jobs.apply(message({ kind: Kind.SNAPSHOT, taskId: 'live', job: job('0live', 1) }));
  const finished = (at: number) => create(JobSchema, { taskId: id(at), revision: 1n, done: true, createdAt: { seconds: BigInt(10_000 + at), nanos: 0 } });
  for (let at = 0; at < FINISHED_MAX + FINISHED_SURPLUS; at += 1) jobs.apply(message({ kind: Kind.SNAPSHOT, taskId: id(at), job: finished(at) }));
  jobs.apply(synced('1'));
  assert.equal(jobs.all().length, FINISHED_MAX + FINISHED_SURPLUS + 1, 'some more may gather');
  assert.equal(jobs.completeSinceMs, 5_000_000 - 1000 + 3_600_000);
  jobs.apply(message({ kind: Kind.CHANGE, taskId: id(99_999), job: finished(99_999), resumeToken: '2' }));
  const gone = jobs.trim();
  assert.ok(gone.kind === 'removed' && gone.taskIds.length === FINISHED_SURPLUS + 1 && gone.taskIds[0] === id(0));
  assert.deepEqual(jobs.trim(), { kind: 'nothing' });
  assert.equal(jobs.all().length, FINISHED_MAX + 1);
  assert.ok(jobs.all().some(({ taskId }) => taskId === '0live'), 'a live job is never let go');
  assert.equal(jobs.completeSinceMs, (10_000 + FINISHED_SURPLUS) * 1000 + 1, 'before that, some are missing');
});

test('however_a_stream_is_cut_the_jobs_come_out_right', () => {
  // A small generator of pseudo-random numbers, so that a failure can be repeated.
  let state = 7;
  const below = (limit: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return (state >> 8) % limit;
  };
  for (let round = 0; round < 300; round += 1) {
    const truth = new Map<string, number>();
    const log: { taskId: string; revision: number }[] = [];
    const happen = () => {
      const taskId = 'abcde'.charAt(below(5));
      // Revision 0 is a removal; a removed job does not come back.
      const before = truth.get(taskId);
      if (before === 0) return;
      const revision = before !== undefined && below(8) === 0 ? 0 : (before ?? 0) + 1;
      truth.set(taskId, revision);
      log.push({ taskId, revision });
    };
    const jobs = new Jobs();
    for (let streams = 1 + below(6); streams > 0; streams -= 1) {
      jobs.begin();
      const cut = below(12);
      let told = 0;
      const tell = (next: ReturnType<typeof message>) => { if (told++ < cut || streams === 1) assert.notEqual(jobs.apply(next).kind, 'hole'); };
      const from = jobs.resumeToken === '' ? log.length : Number(jobs.resumeToken);
      if (jobs.resumeToken === '') for (const [taskId, revision] of truth) if (revision > 0) tell(snapshot(taskId, revision));
      const entry = (at: number) => {
        const { taskId, revision } = log[at] as { taskId: string; revision: number };
        const resumeToken = String(at + 1);
        return revision === 0 ? message({ kind: Kind.REMOVED, taskId, resumeToken }) : change(taskId, revision, resumeToken);
      };
      for (let at = from; at < log.length; at += 1) tell(entry(at));
      tell(synced(String(log.length)));
      for (let more = below(6); more > 0; more -= 1) {
        const before = log.length;
        happen();
        if (log.length > before) tell(entry(before));
      }
    }
    const expected = [...truth].filter(([, revision]) => revision > 0).map(([taskId, revision]) => `${taskId}${revision}`);
    assert.equal(known(jobs), expected.sort().join(' '), `round ${round}`);
  }
});
