// What runs the tasks: how busy it is, what it can do, and what stands in its way.

import { useEffect } from 'preact/hooks';

import type { App } from '../app.ts';
import { now } from '../clock.ts';
import { TIER_WORDS } from '../execute/fields.ts';
import {
  Browser_Capability as Capability, GetRunnerResponse_Scope as Scope, type GetRunnerResponse, type GetRunnerResponse_KnownBrowser as KnownBrowser,
} from '../gen/comet/taskrunner/v1/task_runner_pb.ts';
import { keepRunnerFresh } from '../runner.ts';
import { millis, span, timeOf, visible } from '../text.ts';

const CAPABILITIES: Record<Capability, string> = {
  [Capability.CAPABILITY_UNSPECIFIED]: '',
  [Capability.PAGE_FACTS]: 'page facts',
  [Capability.REPORT_BINDING]: 'window.cometTask',
  [Capability.PAGE_SCREENSHOT]: 'screenshots',
  [Capability.WINDOWS]: 'windows',
  [Capability.DOWNLOADS]: 'downloads',
  [Capability.DIALOGS]: 'dialogs',
  [Capability.PAGE_LOG]: 'page log',
  [Capability.WARM_CONTEXT]: 'warm contexts',
  [Capability.STOP]: 'stop',
  [Capability.EXIT_STATUS]: 'exit status',
  [Capability.PROFILE]: 'profiles',
  [Capability.HEADLESS]: 'without a window',
};

const SCOPES: Record<Scope, string> = {
  [Scope.SCOPE_UNSPECIFIED]: 'Not told by this version of the service',
  [Scope.OBSERVE]: 'Watch only',
  [Scope.OPERATE]: 'Watch, open and end tasks',
  [Scope.ADMIN]: 'Everything',
};

/** What stands in the way of tasks, wherever one is. */
export function Problems({ app }: { app: App }) {
  const problems = app.store.runner.value?.problems ?? [];
  if (problems.length === 0) return null;
  return (
    <ul class="problems" aria-label="What stands in the way of tasks">
      {problems.map(({ what, remedy }) => <li key={what}>{visible(remedy === '' ? what : `${what}; ${remedy}`)}</li>)}
    </ul>
  );
}

export function RunnerPanel({ app }: { app: App }) {
  useEffect(() => keepRunnerFresh(app.calls, app.store, app.runnerAskedAt), []);
  const runner = app.store.runner.value;
  return (
    <section class="card runner" aria-labelledby="runner-title">
      <h2 id="runner-title">Runner</h2>
      {runner ? <><Load runner={runner} /><Facts runner={runner} /><Browsers browsers={runner.browsers} /></> : <p class="soft">It has not answered yet.</p>}
    </section>
  );
}

function Load({ runner }: { runner: GetRunnerResponse }) {
  const { load, limits } = runner;
  if (!load || !limits) return null;
  const memory = load.memoryAvailableMb === undefined ? undefined : Number(load.memoryAvailableMb);
  return (
    <dl class="gauges">
      <Gauge name="Slots" taken={load.slotsTaken} of={limits.slots} />
      <Gauge name="Launches" taken={load.launchesInFlight} of={limits.launchesMax} />
      <Gauge name="Queue" taken={load.queueLen} of={limits.queueMax} />
      <Gauge name="Windows" taken={load.windowsOpen} of={limits.windowsMax} more={load.windowsKept === 0 ? '' : `${load.windowsKept} of tasks that are over`} />
      <Gauge name="Watchers" taken={load.watchers} of={limits.watchersMax} />
      {memory !== undefined && (
        <div class="gauge"><dt>Memory free</dt><dd><strong>{mib(memory)}</strong>
          <small>{Number(limits.memoryFloorMb) === 0 ? 'no floor is set' : `nothing starts below ${mib(Number(limits.memoryFloorMb))}`}</small></dd></div>
      )}
    </dl>
  );
}

function Gauge({ name, taken, of, more = '' }: { name: string; taken: number; of: number; more?: string }) {
  return (
    <div class="gauge">
      <dt>{name}</dt>
      <dd><strong>{taken}</strong> of {of}
        <meter aria-label={name} min={0} max={Math.max(1, of)} value={Math.min(taken, of)} high={of * 0.9}>{taken} of {of}</meter>
        {more !== '' && <small>{more}</small>}</dd>
    </div>
  );
}

function Facts({ runner }: { runner: GetRunnerResponse }) {
  const since = millis(runner.startedAt);
  const state = runner.draining ? 'It is about to leave' : runner.ready ? 'It takes tasks' : 'It takes no tasks';
  return (
    <dl class="facts">
      <div><dt>State</dt><dd class={runner.ready && !runner.draining ? 'good' : 'bad'}>{state}</dd></div>
      <div><dt>Version</dt><dd>{visible(runner.version)}</dd></div>
      <div><dt>Host</dt><dd>{visible(runner.host)}{runner.hasDisplay ? ', with a display' : ', without a display'}</dd></div>
      {since !== undefined && <div><dt>Since</dt><dd>{timeOf(since)}, for {span(Math.max(0, now.value - since))}</dd></div>}
      <div><dt>This session may</dt><dd>{(SCOPES[runner.scope] as string | undefined) ?? `Scope ${runner.scope}`}</dd></div>
    </dl>
  );
}

function Browsers({ browsers }: { browsers: KnownBrowser[] }) {
  if (browsers.length === 0) return <p class="problem">No browser was found.</p>;
  return (
    <ul class="browsers" aria-label="Browsers">
      {browsers.map((browser, at) => (
        <li key={browser.name}>
          <p><strong>{visible(browser.name)}</strong> {visible(browser.version)} {at === 0 && <span class="tag">usual</span>}</p>
          <p class="soft path">{visible(browser.path)}</p>
          {browser.tiers.map(({ tier, capabilities }) => (
            <p class="tier" key={tier}><span>{TIER_WORDS[tier] ?? `Tier ${tier}`}</span>
              <span class="soft">{capabilities.map((one) => (CAPABILITIES[one] as string | undefined) ?? `capability ${one}`).join(', ')}</span></p>
          ))}
        </li>
      ))}
    </ul>
  );
}

function mib(value: number): string {
  return value >= 10_240 ? `${(value / 1024).toFixed(1)} GiB` : `${value} MiB`;
}
