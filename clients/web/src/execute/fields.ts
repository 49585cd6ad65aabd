// Everything that a person can say about a task, by its name in the contract, and the words for it.

import {
  Browser_Isolation as Isolation, Browser_Tier as Tier, ExecuteRequest_AfterFinish as AfterFinish, ExecuteRequest_CallbackDelivery as Delivery,
  ExecuteRequest_CompletionPolicy as Policy, ExecuteRequest_DialogPolicy as Dialogs, ExecuteRequest_Mode as Mode, type GetRunnerResponse,
} from '../gen/comet/taskrunner/v1/task_runner_pb.ts';

/** The words of a choice; the first one is what is meant where nothing is chosen. */
export type Choices = readonly (readonly [value: string, words: string])[];

export type Kind =
  | { kind: 'text'; placeholder?: string }
  | { kind: 'lines'; placeholder?: string }
  | { kind: 'flag' }
  | { kind: 'choice'; choices: (runner: GetRunnerResponse | undefined, draft: Draft) => Choices };

export type Field = { name: FieldName; label: string; hint?: string } & Kind;

export const GROUPS = [
  { title: 'Browser', names: ['browser', 'tier', 'mode', 'isolation', 'profile'] },
  { title: 'How it ends', names: ['completion_policy', 'after_finish', 'dialogs', 'fail_on_http_error', 'wait_for_popups'] },
  { title: 'How long it may take', names: ['timeouts.queue', 'timeouts.launch', 'timeouts.navigation', 'timeouts.run', 'timeouts.idle', 'termination_grace'] },
  { title: 'Reports, order, keeping', names: ['callback_delivery', 'callback_origins', 'labels', 'priority', 'retention'] },
] as const;

export type FieldName = 'url' | (typeof GROUPS)[number]['names'][number];

/** What is written and chosen, by field. Absent: nothing. Flags are "on". */
export type Draft = Partial<Record<FieldName, string>>;

const fixed = (choices: Choices) => ({ kind: 'choice', choices: () => choices }) as const;
const words = (names: Record<number, string>, usual: string, said: Record<number, string>): Choices =>
  [['', usual], ...Object.entries(said).map(([value, text]) => [names[Number(value)] ?? value, text] as const)];

export const TIER_WORDS: Record<number, string> = { [Tier.MANAGED]: 'Managed', [Tier.EXIT_ONLY]: 'Exit only', [Tier.USER_BROWSER]: 'Your own browser' };
const span = { kind: 'text', placeholder: 'such as 90 s, 5 min, none' } as const;

export const FIELDS: Record<FieldName, Field> = {
  url: { name: 'url', label: 'Address to open', kind: 'text', placeholder: 'https://' },
  browser: {
    name: 'browser', label: 'Browser', kind: 'choice',
    choices: (runner) => [
      ['', runner?.browsers[0] ? `First one (${runner.browsers[0].name})` : 'First one'],
      ...(runner?.browsers ?? []).map(({ name, version }) => [name, version === '' ? name : `${name} ${version}`] as const),
    ],
  },
  tier: {
    name: 'tier', label: 'What is asked of it', kind: 'choice',
    choices: (runner, draft) => {
      const browser = runner?.browsers.find(({ name }) => name === draft.browser) ?? runner?.browsers[0];
      return [['', 'The most that it can'], ...(browser?.tiers ?? []).map(({ tier }) => [Tier[tier] ?? String(tier), TIER_WORDS[tier] ?? `Tier ${tier}`] as const)];
    },
  },
  mode: { name: 'mode', label: 'Window', ...fixed(words(Mode, 'Where there is a display', { [Mode.HEADED]: 'With a window', [Mode.HEADLESS]: 'Without a window' })) },
  isolation: { name: 'isolation', label: 'Shares with other tasks', ...fixed(words(Isolation, 'Nothing', { [Isolation.CONTEXT]: 'A warm browser' })) },
  profile: { name: 'profile', label: 'Profile', kind: 'text', placeholder: 'new, gone with the task', hint: 'A name keeps logins; one task at a time.' },
  completion_policy: {
    name: 'completion_policy', label: 'Ends with',
    ...fixed(words(Policy, 'A report or the page\u2019s end', { [Policy.REQUIRE_REPORT]: 'A report; else it failed', [Policy.PROCESS_EXIT]: 'The exit of the process' })),
  },
  after_finish: {
    name: 'after_finish', label: 'Then its browser', ...fixed(words(AfterFinish, 'Stays if it has a window', { [AfterFinish.CLOSE]: 'Is closed', [AfterFinish.KEEP_OPEN]: 'Stays open' })),
  },
  dialogs: {
    name: 'dialogs', label: 'Dialogs of the page',
    ...fixed(words(Dialogs, 'Accepted; in a window left', { [Dialogs.ACCEPT]: 'Accepted', [Dialogs.DISMISS]: 'Dismissed', [Dialogs.LEAVE]: 'Left to a person' })),
  },
  fail_on_http_error: { name: 'fail_on_http_error', label: 'HTTP 400 and above is failed', kind: 'flag' },
  wait_for_popups: { name: 'wait_for_popups', label: 'Wait for the pages that it opens', kind: 'flag' },
  'timeouts.queue': { name: 'timeouts.queue', label: 'Waiting', hint: 'Usually without limit.', ...span },
  'timeouts.launch': { name: 'timeouts.launch', label: 'Browser coming up', hint: 'Usually 30 s.', ...span },
  'timeouts.navigation': { name: 'timeouts.navigation', label: 'Page arriving', hint: 'Usually 60 s.', ...span },
  'timeouts.run': { name: 'timeouts.run', label: 'Running', hint: 'Usually without limit.', ...span },
  'timeouts.idle': { name: 'timeouts.idle', label: 'Silence of the page', hint: 'Usually without limit.', ...span },
  termination_grace: { name: 'termination_grace', label: 'Leaving by itself', hint: 'Usually 5 s, then it is killed.', ...span },
  callback_delivery: {
    name: 'callback_delivery', label: 'The page reports',
    ...fixed(words(Delivery, 'As its browser allows', { [Delivery.BINDING]: 'By window.cometTask', [Delivery.FRAGMENT]: 'By a token behind its address' })),
  },
  callback_origins: { name: 'callback_origins', label: 'Origins that may report', hint: 'One a line. Usually the address\u2019s own.', kind: 'lines', placeholder: 'https://example.org' },
  labels: { name: 'labels', label: 'Labels', hint: 'One a line.', kind: 'lines', placeholder: 'key=value' },
  priority: { name: 'priority', label: 'Priority', hint: 'From -100 to 100; usually 0.', kind: 'text', placeholder: '0' },
  retention: { name: 'retention', label: 'Kept after its end', hint: 'Usually 7 days.', kind: 'text', placeholder: 'such as 12 h, 30 d' },
};
