import assert from 'node:assert/strict';
import { test } from 'node:test';

import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';

import { Job_Reason as Reason, Job_Status as Status, JobSchema } from '../../src/gen/comet/taskrunner/v1/task_runner_pb.ts';
import { ErrorInfoSchema } from '../../src/gen/google/rpc/error_details_pb.ts';
import { problemOf, sentence } from '../../src/problem.ts';
import { messageOf, reasonOf } from '../../src/reasons.ts';
import { codeIn, parsePasted, whyRefused } from '../../src/session.ts';
import { lookOf } from '../../src/statuses.ts';
import { linkFor, setOut, span, timeOf, visible } from '../../src/text.ts';

const job = (fields: MessageInitShape<typeof JobSchema>) => create(JobSchema, fields);
const numbers = (of: object) => Object.values(of).filter((value): value is number => typeof value === 'number' && value !== 0);

test('every_reason_is_a_sentence_of_its_own', () => {
  const sentences = numbers(Reason).map((reason) => reasonOf(job({ reason, status: Status.FAILED })));
  for (const words of sentences) assert.match(words, /^[A-Z].*[a-z)]\.$/);
  assert.equal(new Set(sentences).size, sentences.length);
});

test('a_reason_says_what_the_job_knows', () => {
  const refused = job({ reason: Reason.NAVIGATION_FAILED, page: { netError: 'net::ERR_CONNECTION_REFUSED' } });
  assert.equal(reasonOf(refused), 'The site refused the connection (net::ERR_CONNECTION_REFUSED).');
  assert.equal(reasonOf(job({ reason: Reason.NAVIGATION_FAILED, page: { netError: 'net::ERR_CERT_DATE_INVALID' } })),
    'The site\u2019s certificate is not valid (net::ERR_CERT_DATE_INVALID).');
  assert.equal(reasonOf(job({ reason: Reason.CALLBACK, status: Status.DONE })), 'The page reported that it is done.');
  assert.equal(reasonOf(job({ reason: Reason.CALLBACK, status: Status.FAILED })), 'The page reported that it failed.');
  assert.equal(reasonOf(job({ reason: Reason.PROCESS_FAILED, exitCode: 3 })), 'The browser ended with exit code 3.');
  assert.equal(reasonOf(job({ reason: Reason.PROCESS_FAILED, exitSignal: 9 })), 'The browser ended by SIGKILL (9).');
  assert.equal(reasonOf(job({ reason: 999 as Reason })), 'Reason 999.');
});

test('a_message_is_not_said_twice', () => {
  const netError = 'net::ERR_CONNECTION_REFUSED';
  assert.equal(messageOf(job({ reason: Reason.NAVIGATION_FAILED, page: { netError }, message: `${netError} for http://x/` })), '');
  assert.equal(messageOf(job({ reason: Reason.PAGE_CLOSED, message: 'the page was closed' })), '');
  assert.equal(messageOf(job({ reason: Reason.CALLBACK, message: 'm', callback: { message: 'sent 3' } })), 'sent 3');
  assert.equal(messageOf(job({ reason: Reason.PAGE_CRASHED, message: 'it said: no' })), 'it said: no');
});

test('an_error_becomes_a_sentence', () => {
  const said = ['url is empty', 'the disk is full.', 'why?', '', 'urlish'].map(sentence);
  assert.deepEqual(said, ['URL is empty.', 'The disk is full.', 'Why?', '', 'Urlish.']);
});

test('no_two_statuses_look_alike', () => {
  const looks = numbers(Status).map((status) => lookOf(job({ status })));
  assert.equal(new Set(looks.map(({ shape }) => shape)).size, looks.length);
  assert.equal(new Set(looks.map(({ word }) => word)).size, looks.length);
  const tone = (status: Status) => lookOf(job({ status })).tone;
  assert.deepEqual([Status.CREATED, Status.RUNNING, Status.STOPPING].map(tone), ['live', 'live', 'live']);
  assert.equal(tone(Status.DONE), 'good');
  assert.equal(tone(Status.FAILED), 'bad');
  assert.equal(lookOf(job({ status: 99 as Status, done: true })).tone, 'quiet');
});

test('nothing_in_a_text_acts_unseen', () => {
  assert.equal(visible('a\u202egnp.exe\u0007\u0000b\u009b\u2066'), 'a\ufffdgnp.exe\ufffd\ufffdb\ufffd\ufffd');
  assert.equal(visible('line\n\ttab \u{1f600} \u05d0'), 'line\n\ttab \u{1f600} \u05d0');
});

test('only_web_addresses_become_links', () => {
  assert.equal(linkFor('https://example.org/a?b#c'), 'https://example.org/a?b#c');
  for (const hostile of ['javascript:alert(1)', ' JaVaScRiPt:alert(1)', 'data:text/html,x', 'file:///etc/passwd', 'blob:https://x/1', '//x', '']) {
    assert.equal(linkFor(hostile), undefined, hostile);
  }
});

test('spans_are_said_as_people_say_them', () => {
  const said = [-5, 400, 9_990, 12_300, 185_000, 7_800_000, 273_600_000].map(span);
  assert.deepEqual(said, ['0.0 s', '0.4 s', '9.9 s', '12 s', '3 min 5 s', '2 h 10 min', '3 d 4 h']);
});

test('results_are_set_out_when_they_are_json', () => {
  assert.equal(setOut('{"a":[1]}'), '{\n  "a": [\n    1\n  ]\n}');
  assert.equal(setOut('{oops'), '{oops');
});

test('a_link_or_a_token_may_be_pasted', () => {
  assert.deepEqual(parsePasted(' http://127.0.0.1:50051/#code=aB-_9 \n'), { kind: 'code', code: 'aB-_9' });
  assert.deepEqual(parsePasted('page: http://127.0.0.1:50051/#code=aB-_9'), { kind: 'code', code: 'aB-_9' });
  assert.deepEqual(parsePasted('aB-_9'), { kind: 'token', token: 'aB-_9' });
  for (const neither of ['', 'two words', 'http://127.0.0.1:50051/', 'a\u00e4', '#code=']) assert.deepEqual(parsePasted(neither), { kind: 'nothing' }, neither);
  assert.equal(codeIn('#code='), undefined);
});

test('a_refused_link_says_why', () => {
  const words = ['CODE_USED', 'CODE_EXPIRED', 'CODE_INVALID', 'CODE_LIMIT', 'nothing known'].map((reason) => whyRefused(`{"reason":"${reason}"}`));
  assert.equal(new Set(words).size, words.length);
});

test('only_a_call_that_may_have_worked_is_made_again', () => {
  const code = (of: Code) => problemOf(new ConnectError('x', of)).code;
  assert.equal(code(Code.Unavailable), 'cut');
  assert.equal(code(Code.DeadlineExceeded), 'cut');
  assert.equal(code(Code.Unknown), 'cut');
  const answered = new ConnectError('x', Code.Internal, undefined, [{ desc: ErrorInfoSchema, value: { reason: 'WHATEVER' } }]);
  assert.deepEqual([problemOf(answered).code, problemOf(answered).reason], ['refused', 'WHATEVER']);
  assert.equal(code(Code.Internal), 'cut');
  assert.equal(code(Code.InvalidArgument), 'refused');
  assert.equal(code(Code.ResourceExhausted), 'refused');
  assert.equal(code(Code.Unauthenticated), 'unauthenticated');
  assert.equal(problemOf(new TypeError('Failed to fetch')).words, 'The service cannot be reached.');
});

test('a_time_has_its_day_when_that_is_not_today_and_its_year_when_that_is_another', () => {
  const today = new Date();
  today.setHours(9, 5, 7);
  assert.equal(timeOf(today.getTime()), '09:05:07');
  assert.equal(timeOf(new Date(2001, 4, 3, 21, 5, 7).getTime()), '3 May 2001, 21:05:07');
  // The middle of the year, or of its first half: never today.
  const other = new Date(today.getFullYear(), today.getMonth() === 5 ? 2 : 5, 15, 0, 0, 1);
  assert.match(timeOf(other.getTime()), /^15 (Mar|Jun), 00:00:01$/);
});
