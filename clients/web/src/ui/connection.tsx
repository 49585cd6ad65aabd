// How the connection stands, in words that are true at this moment.

import type { App } from '../app.ts';
import { now } from '../clock.ts';
import type { Connection } from '../stream.ts';
import { growing, visible } from '../text.ts';

export function ConnectionState({ app }: { app: App }) {
  const connection = app.store.connection.value;
  const waits = (connection.state === 'reconnecting' || connection.state === 'draining') && connection.nextTryAt !== undefined;
  return (
    <div class={`connection ${toneOf(connection)}`}>
      <span class="lamp" aria-hidden="true" />
      <span class="words">
        {/* Only what changes with the state is announced, not each second. */}
        <span role="status" aria-live="polite">{wordOf(connection)}</span>
        <Times connection={connection} />
      </span>
      {waits && <button type="button" class="small" onClick={() => app.retry()}>Try now</button>}
    </div>
  );
}

function Times({ connection }: { connection: Connection }) {
  if (connection.state !== 'reconnecting' && connection.state !== 'draining') return null;
  const at = Math.max(now.value, connection.since);
  const next = connection.nextTryAt === undefined ? 'trying now' : `next try in ${Math.max(0, Math.ceil((connection.nextTryAt - at) / 1000))} s`;
  const why = connection.state === 'reconnecting' ? ` ${visible(connection.why)}` : '';
  return <span class="times"> for {growing(at - connection.since)}, {next}.{why}</span>;
}

function wordOf(connection: Connection): string {
  switch (connection.state) {
    case 'connecting':
      return 'Connecting';
    case 'live':
      return 'Live';
    case 'reconnecting':
      return 'Not connected';
    case 'draining':
      return 'The service is restarting';
    case 'token needed':
      return 'Token needed';
  }
}

function toneOf(connection: Connection): string {
  switch (connection.state) {
    case 'live':
      return 'good';
    case 'connecting':
    case 'draining':
      return 'live';
    case 'reconnecting':
    case 'token needed':
      return 'bad';
  }
}
