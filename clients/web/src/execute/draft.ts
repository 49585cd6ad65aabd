// Makes a request of what is written in the form, or says at which field it cannot.

import type { MessageInitShape } from '@bufbuild/protobuf';

import {
  Browser_Isolation as Isolation, Browser_Tier as Tier, ExecuteRequest_AfterFinish as AfterFinish, ExecuteRequest_CallbackDelivery as Delivery,
  ExecuteRequest_CompletionPolicy as Policy, ExecuteRequest_DialogPolicy as Dialogs, ExecuteRequest_Mode as Mode, type ExecuteRequestSchema,
} from '../gen/comet/taskrunner/v1/task_runner_pb.ts';
import { labelIn } from '../list/asked.ts';
import type { Problem } from '../problem.ts';
import { type Draft, type FieldName, FIELDS } from './fields.ts';
import { durationOf, spanIn } from './spans.ts';

type Request = MessageInitShape<typeof ExecuteRequestSchema>;

/** What is wrong, by field; what is of no field stands under ''. */
export type Faults = ReadonlyMap<FieldName | '', string>;

export function requestOf(draft: Draft): { request: Request; faults: Faults } {
  const faults = new Map<FieldName | '', string>();
  const text = (name: FieldName) => draft[name]?.trim() ?? '';
  const lines = (name: FieldName) => text(name).split('\n').map((line) => line.trim()).filter((line) => line !== '');
  const chosen = <E extends number>(name: FieldName, of: Record<string, unknown>) => (of[text(name)] ?? 0) as E;
  const span = (name: FieldName) => {
    if (text(name) === '') return undefined;
    const ms = spanIn(text(name));
    if (ms === undefined) faults.set(name, 'Write a time such as 90 s, 5 min or 1 h 30 min.');
    return ms === undefined ? undefined : durationOf(ms);
  };
  const given = <K extends string, V>(name: K, value: V | undefined) => (value === undefined ? {} : { [name]: value }) as { [P in K]?: V };

  const labels: Record<string, string> = {};
  for (const line of lines('labels')) {
    const pair = labelIn(line);
    if (pair) labels[pair[0]] = pair[1];
    else faults.set('labels', `Write key=value, not "${line}".`);
  }
  const priority = Number(text('priority'));
  if (!Number.isInteger(priority)) faults.set('priority', 'Write a whole number from -100 to 100.');

  const request: Request = {
    url: text('url'), browser: text('browser'), profile: text('profile'), labels,
    tier: chosen<Tier>('tier', Tier), mode: chosen<Mode>('mode', Mode), isolation: chosen<Isolation>('isolation', Isolation),
    completionPolicy: chosen<Policy>('completion_policy', Policy), afterFinish: chosen<AfterFinish>('after_finish', AfterFinish),
    dialogs: chosen<Dialogs>('dialogs', Dialogs), callbackDelivery: chosen<Delivery>('callback_delivery', Delivery),
    failOnHttpError: text('fail_on_http_error') !== '', waitForPopups: text('wait_for_popups') !== '',
    callbackOrigins: lines('callback_origins'), priority: Number.isInteger(priority) ? priority : 0,
    timeouts: {
      ...given('queue', span('timeouts.queue')), ...given('launch', span('timeouts.launch')), ...given('navigation', span('timeouts.navigation')),
      ...given('run', span('timeouts.run')), ...given('idle', span('timeouts.idle')),
    },
    ...given('terminationGrace', span('termination_grace')), ...given('retention', span('retention')),
  };
  return { request, faults };
}

/** The service's complaints at the fields of the form. */
export function faultsOf(problem: Problem): Faults {
  const faults = new Map<FieldName | '', string>();
  for (const { field, description } of problem.faults) {
    // A part of a field, as in "callback_origins[1]", is written in that field.
    const name = field.replace(/\[.*$/, '');
    if (Object.hasOwn(FIELDS, name)) faults.set(name as FieldName, description);
    else faults.set('', `${field}: ${description}`);
  }
  if (problem.faults.length === 0) faults.set('', problem.words);
  return faults;
}
