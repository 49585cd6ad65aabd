import assert from 'node:assert/strict';
import { test } from 'node:test';

import { create } from '@bufbuild/protobuf';

import { faultsOf, requestOf } from '../../src/execute/draft.ts';
import { FIELDS, GROUPS } from '../../src/execute/fields.ts';
import { spanIn } from '../../src/execute/spans.ts';
import { ExecuteRequestSchema, GetRunnerResponseSchema } from '../../src/gen/comet/taskrunner/v1/task_runner_pb.ts';

test('spans_are_read_as_people_write_them', () => {
  const read = ['30', '1.5', '90 s', '5min', '1 h 30 min', '2d', '250 ms', 'none', ' 7 S '].map(spanIn);
  assert.deepEqual(read, [30_000, 1500, 90_000, 300_000, 5_400_000, 172_800_000, 250, 0, 7000]);
  for (const wrong of ['soon', '5 parsecs', '-3', 's 5', '1,5 s', '5 s soon', '']) assert.equal(spanIn(wrong), undefined, wrong);
});

test('the_form_has_every_field_that_a_person_would_set', () => {
  const shown: Set<string> = new Set(GROUPS.flatMap(({ names }) => names).map((name) => name.split('.')[0] ?? ''));
  // The address stands by itself; the others are the page's own business.
  const fields = ExecuteRequestSchema.fields.map(({ name }) => name).filter((name) => !['url', 'request_id', 'validate_only'].includes(name));
  assert.deepEqual([...shown].sort(), fields.sort());
});

test('each_choice_changes_the_request', () => {
  const runner = create(GetRunnerResponseSchema, { browsers: [{ name: 'chromium', tiers: [{ tier: 1 }, { tier: 2 }] }] });
  const usual = JSON.stringify(requestOf({}).request, big);
  for (const field of Object.values(FIELDS)) {
    const texts = field.kind === 'choice' ? field.choices(runner, {}).slice(1).map(([value]) => value)
      : [field.name === 'labels' ? 'a=b' : field.name === 'priority' ? '3' : field.name.startsWith('t') || field.name === 'retention' ? '3 s' : 'on'];
    assert.ok(texts.length > 0, field.name);
    const made = texts.map((text) => requestOf({ [field.name]: text }));
    for (const { faults } of made) assert.equal(faults.size, 0, field.name);
    const different = new Set(made.map(({ request }) => JSON.stringify(request, big)));
    assert.equal(different.size, texts.length, field.name);
    assert.ok(!different.has(usual), field.name);
  }
});

test('what_cannot_be_read_is_a_fault_at_its_field', () => {
  const { faults } = requestOf({ 'timeouts.run': 'soon', labels: 'a=b\nnothing', priority: '1.5', retention: '3 d' });
  assert.deepEqual([...faults.keys()].sort(), ['labels', 'priority', 'timeouts.run']);
  assert.match(faults.get('labels') ?? '', /nothing/);
});

test('the_services_complaints_stand_at_their_fields', () => {
  const problem = (faults: { field: string; description: string }[]) => faultsOf({ code: 'refused', words: 'It is refused.', faults });
  assert.deepEqual([...problem([{ field: 'callback_origins[1]', description: 'no' }, { field: 'timeouts.run', description: 'long' }])], [['callback_origins', 'no'], ['timeouts.run', 'long']]);
  assert.deepEqual([...problem([{ field: 'constructor', description: 'odd' }])], [['', 'constructor: odd']]);
  assert.deepEqual([...problem([])], [['', 'It is refused.']]);
});

function big(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
