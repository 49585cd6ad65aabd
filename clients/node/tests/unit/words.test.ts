import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';

import { errorOf, passes, TaskRunnerError } from '../../src/error.js';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from '../../src/gen/google/rpc/error_details_pb.js';
import { Job_Status, JobSchema, plain, resultOf } from '../../src/index.js';
import { Patience, RETRY_LONGEST_MS, retryDelayMs } from '../../src/patience.js';

const AT = 'http://127.0.0.1:7';
const unavailable = () => new TaskRunnerError('UNAVAILABLE', 'away');

describe('patience', () => {
  test('waits_double_up_to_the_longest_and_spread', () => {
    assert.deepEqual([0, 1, 2, 5, 6, 40].map((failures) => retryDelayMs(failures, 1)), [100, 200, 400, 3200, RETRY_LONGEST_MS, RETRY_LONGEST_MS]);
    assert.equal(retryDelayMs(1, 0), 100);
  });

  test('waits_begin_anew_once_the_service_was_heard', () => {
    const patience = new Patience(1000);
    assert.deepEqual([patience.nextWaitMs(unavailable(), 0, 1), patience.nextWaitMs(unavailable(), 0, 1)], [100, 200]);
    patience.heard();
    assert.equal(patience.nextWaitMs(unavailable(), 5000, 1), 100);
    assert.equal(patience.nextWaitMs(unavailable(), 5999, 1), 200);
    assert.throws(() => patience.nextWaitMs(unavailable(), 6000, 1), /away/);
  });

  test('an_announced_delay_is_waited_for_once', () => {
    const patience = new Patience();
    patience.toldToWait(2000);
    assert.equal(patience.nextWaitMs(unavailable(), 0, 1), 2100);
    assert.equal(patience.nextWaitMs(unavailable(), 0, 1), 200);
  });
});

describe('errors', () => {
  test('an_error_has_all_that_the_service_said', () => {
    const error = errorOf(new ConnectError('url is empty', Code.InvalidArgument, undefined, [
      { desc: ErrorInfoSchema, value: { reason: 'URL_INVALID', domain: 'taskrunner.comet', metadata: { state: 'asleep' } } },
      { desc: BadRequestSchema, value: { fieldViolations: [{ field: 'url', description: 'must not be empty' }] } },
      { desc: RetryInfoSchema, value: { retryDelay: { seconds: 1n, nanos: 500e6 } } },
    ]), AT);
    assert.equal(error.code, 'INVALID_ARGUMENT');
    assert.equal(error.reason, 'URL_INVALID');
    assert.equal(error.metadata.state, 'asleep');
    assert.deepEqual(error.violations, [{ field: 'url', description: 'must not be empty' }]);
    assert.equal(error.retryDelayMs, 1500);
    assert.equal(error.message, 'url is empty (URL_INVALID)\n  url: must not be empty');
    assert.equal(passes(error), false);
  });

  test('what_has_no_reason_comes_from_the_connection_or_from_another_program', () => {
    for (const code of [Code.Unavailable, Code.Internal, Code.Aborted, Code.Canceled, Code.Unknown, Code.InvalidArgument, Code.ResourceExhausted]) {
      const error = errorOf(new ConnectError('x\n', code), AT);
      assert.deepEqual([error.code, error.message, passes(error)], ['UNAVAILABLE', `no service answers at ${AT}: x`, true], Code[code]);
    }
    for (const code of [Code.Unimplemented, Code.Unauthenticated, Code.NotFound, Code.PermissionDenied]) {
      const error = errorOf(new ConnectError('HTTP 404', code), AT);
      assert.deepEqual([error.message, passes(error)], [`what listens at ${AT} answered: HTTP 404`, false], Code[code]);
    }
  });
});

describe('plain values', () => {
  test('a_message_becomes_json_with_the_words_of_the_contract', () => {
    const job = create(JobSchema, { status: Job_Status.DONE, revision: 3n, createdAt: { seconds: 0n, nanos: 5e8 } });
    const { status, revision, createdAt, done } = plain(job);
    assert.deepEqual({ status, revision, createdAt, done }, { status: 'DONE', revision: '3', createdAt: '1970-01-01T00:00:00.500Z', done: false });
  });

  test('a_result_is_read_from_its_json', () => {
    assert.deepEqual(resultOf(create(JobSchema, { callback: { result: '{"pages":3}' } })), { pages: 3 });
    assert.equal(resultOf(create(JobSchema, { callback: {} })), undefined);
    assert.equal(resultOf(create(JobSchema)), undefined);
  });
});
