import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { create, type MessageInitShape } from '@bufbuild/protobuf';

import {
  Job_Reason as Reason, JobSchema, Job_Status as Status, LogEntrySchema, Page_LoadState as LoadState, ProcessInfoSchema, ReadLogResponseSchema,
} from '../../src/gen/comet/taskrunner/v1/task_runner_pb.ts';
import { saidOf } from '../../src/job/changes.ts';
import { commandsFor } from '../../src/job/commands.ts';
import { factsOf } from '../../src/job/facts.ts';
import { CHANGES_MAX, History } from '../../src/job/history.ts';
import { safeName } from '../../src/job/keeping.ts';
import { ENTRIES_MAX, goneBefore, Log } from '../../src/job/log.ts';
import { between, bytes } from '../../src/job/measure.ts';
import { columns, peak, READINGS_MAX, type Reading, withReading } from '../../src/job/readings.ts';
import { signalName } from '../../src/job/signals.ts';
import { remedyOf } from '../../src/remedies.ts';
import { POLICY } from '../fake.ts';

const job = (fields: MessageInitShape<typeof JobSchema>) => create(JobSchema, fields);
const entry = (number: number, text = '') => create(LogEntrySchema, { number: BigInt(number), text });

test('every_end_that_is_not_well_has_a_remedy', () => {
  const well = [Reason.PAGE_CLOSED, Reason.PROCESS_EXITED, Reason.DOWNLOADED, Reason.ACCEPTED, Reason.REQUEUED, Reason.LAUNCHED, Reason.REASON_UNSPECIFIED];
  const reasons = Object.values(Reason).filter((value): value is Reason => typeof value === 'number' && !well.includes(value));
  for (const reason of reasons) assert.match(remedyOf(job({ reason, status: Status.FAILED })), /^[A-Z].*\.$/, Reason[reason]);
  assert.equal(remedyOf(job({ reason: Reason.CALLBACK, status: Status.DONE })), '');
  assert.equal(remedyOf(job({ reason: 999 as Reason })), '');
  const netError = (net: string) => remedyOf(job({ reason: Reason.NAVIGATION_FAILED, page: { netError: net } }));
  assert.match(netError('net::ERR_NAME_NOT_RESOLVED'), /address is written/);
  assert.match(netError('net::ERR_CERT_DATE_INVALID'), /certificate/);
});

test('a_signal_has_its_name', () => {
  assert.deepEqual([11, 9, 64].map(signalName), ['SIGSEGV (11)', 'SIGKILL (9)', 'signal 64']);
});

test('sizes_and_times_are_for_people', () => {
  assert.deepEqual([0, 1, 1023, 1024, 15_872, 1_048_576, 5e9].map(bytes), ['0 bytes', '1 byte', '1023 bytes', '1 KiB', '15 KiB', '1 MiB', '4.6 GiB']);
  assert.deepEqual([-5, 3.7, 180, 12_000, 185_000].map(between), ['+0 ms', '+4 ms', '+0.18 s', '+12 s', '+3 min 5 s']);
});

test('a_history_takes_each_change_once_and_knows_a_hole', () => {
  const history = new History();
  assert.equal(history.offer(job({ revision: 2n })), 'hole');
  assert.equal(history.offer(job({ revision: 1n })), 'added');
  assert.equal(history.offer(job({ revision: 1n })), 'known');
  assert.equal(history.offer(job({ revision: 3n })), 'hole');
  assert.deepEqual(history.changes.map(({ revision }) => revision), [1n]);
  assert.equal(history.settle(job({ revision: 4n })), 'added');
  assert.equal(history.offer(job({ revision: 5n })), 'added');
  for (let revision = 6; revision <= CHANGES_MAX + 50; revision += 1) history.offer(job({ revision: BigInt(revision) }));
  assert.equal(history.changes.length, CHANGES_MAX);
  assert.equal(history.told, BigInt(CHANGES_MAX + 50));
});

test('a_change_says_what_is_new_about_it', () => {
  const created = job({ revision: 1n, status: Status.CREATED, reason: Reason.ACCEPTED });
  const up = job({ ...created, revision: 2n, status: Status.RUNNING, reason: Reason.LAUNCHED, message: 'chromium is up', isProcessAlive: true });
  const there = job({ ...up, revision: 3n, message: 'the page is there (HTTP 200)', page: { loadState: LoadState.COMMITTED, httpStatus: 200 } } as object);
  const failed = job({ ...there, revision: 4n, status: Status.FAILED, done: true, reason: Reason.CALLBACK, message: '', callback: { status: Status.FAILED, message: 'no paper' } } as object);
  const kept = job({ ...failed, revision: 5n, files: [{ name: 'last.jpg', sizeBytes: 2048n }] } as object);
  const gone = job({ ...kept, revision: 6n, isProcessAlive: false, exitSignal: 11 } as object);
  const clean = job({ ...gone, revision: 7n, treeEnd: {} } as object);
  assert.deepEqual(saidOf(created, undefined), { what: 'Waiting for its turn.', more: [] });
  assert.deepEqual(saidOf(up, created), { what: 'The browser is running.', more: ['Chromium is up.'] });
  assert.deepEqual(saidOf(there, up), { what: 'The page is there (HTTP 200).', more: [] });
  assert.deepEqual(saidOf(failed, there), { what: 'The page reported that it failed.', more: ['no paper'] });
  assert.deepEqual(saidOf(kept, failed), { what: 'Kept last.jpg (2 KiB).', more: [] });
  assert.deepEqual(saidOf(gone, kept), { what: 'The browser ended by SIGSEGV (11).', more: [] });
  assert.deepEqual(saidOf(clean, gone), { what: 'Nothing of its process tree is left.', more: [] });
  const late = job({ ...clean, revision: 8n, callback: { status: Status.DONE } } as object);
  assert.deepEqual(saidOf(late, job({ ...clean, callback: undefined } as object)).what, 'Reported after the end.');
  assert.deepEqual(saidOf(job({ ...clean, priority: 3 } as object), clean).what, 'It was looked at again.');
});

test('what_is_not_known_is_left_out', () => {
  assert.deepEqual(factsOf(job({ revision: 1n }), undefined).map(({ title }) => title), ['Task']);
  const unknown = factsOf(job({ processId: 7 }), undefined).flatMap(({ facts }) => facts).find(({ term }) => term === 'Exit');
  assert.equal(unknown?.value, 'Not known', 'an exit that nobody knows is not 0');
});

test('a_log_keeps_the_latest_entries_in_order_and_each_once', () => {
  const log = new Log();
  const tell = (numbers: number[], fields: object = {}) =>
    log.read(create(ReadLogResponseSchema, { entries: numbers.map((number) => entry(number)), lastNumber: BigInt(numbers.at(-1) ?? 0), ...fields }));
  tell([1, 2, 3]);
  tell([3, 4]);
  assert.deepEqual(log.entries.map(({ number }) => Number(number)), [1, 2, 3, 4]);
  tell([], { lastNumber: 9n });
  assert.equal(log.lastNumber, 9n, 'what is not told does not come again');
  tell([12], { droppedCount: 2n });
  assert.equal(goneBefore(log.entries[4] as never, log.entries[3]), 7);
  tell(Array.from({ length: ENTRIES_MAX }, (_, at) => 13 + at));
  assert.equal(log.entries.length, ENTRIES_MAX);
  assert.equal(goneBefore(log.entries[0] as never, undefined), 12);
  const part = tell([1], { reset: true });
  assert.deepEqual([part.anew, part.reset, log.entries.length, log.lastNumber], [true, true, 1, 1n]);
  assert.equal(tell([2]).reset, true, 'whoever comes later is told too');
});

test('readings_are_bounded_told_once_and_drawn_with_their_gaps', () => {
  const info = (seconds: number, cpuPercent?: number) =>
    create(ProcessInfoSchema, { sampledAt: { seconds: BigInt(seconds), nanos: 0 }, memoryMb: seconds, processCount: 1, ...(cpuPercent !== undefined && { cpuPercent }) });
  let readings: readonly Reading[] = [];
  for (const one of [info(10), info(11, 5), info(11, 5), info(30, 7)]) readings = withReading(readings, one);
  assert.deepEqual(columns(readings, ({ cpuPercent }) => cpuPercent), [[10, 11, 20.5, 30], [null, 5, null, 7]]);
  assert.equal(peak(readings, ({ cpuPercent }) => cpuPercent), 7);
  assert.equal(peak([], ({ memoryMb }) => memoryMb), undefined);
  for (let at = 0; at < READINGS_MAX + 9; at += 1) readings = withReading(readings, info(100 + at, 1));
  assert.equal(readings.length, READINGS_MAX);
  assert.equal(readings.at(-1)?.memoryMb, 100 + READINGS_MAX + 8);
});

test('lines_for_a_terminal_are_made_of_ids_alone', () => {
  const taskId = '0190b0c0-0000-7000-8000-000000000001';
  const lines = commandsFor(taskId, 'https://tasks.example.org').map(({ line }) => line).join('\n');
  assert.match(lines, /^comet-task-runner status 0190b0c0/);
  assert.match(lines, / tasks\.example\.org:443 comet\./);
  assert.doesNotMatch(lines, /-plaintext/);
  assert.match(commandsFor(taskId, 'http://127.0.0.1:50051').map(({ line }) => line).join('\n'), /grpcurl -plaintext .* 127\.0\.0\.1:50051 /);
  assert.deepEqual(commandsFor("'; rm -rf ~; '", 'http://x'), []);
});

test('a_name_that_a_page_made_up_is_safe_to_save', () => {
  assert.deepEqual(['a.pdf', '../../x', 'a\u202egnp.exe', '.bashrc', 'a:b|c?.txt', '...', ''].map(safeName),
    ['a.pdf', '_.._x', 'a_gnp.exe', 'bashrc', 'a_b_c_.txt', 'file', 'file']);
});

test('the_fake_serves_the_page_under_the_policy_of_the_service', () => {
  const source = readFileSync(`${process.cwd()}/../../src/web/page.rs`, 'utf8');
  const policy = /const POLICY: &str = "([^"]+)"/.exec(source)?.[1]?.replace(/\\\n\s*/g, '');
  assert.equal(POLICY, policy);
});
