// The lines that fetch the same in a terminal, each copied by a button.

import { commandsFor } from './commands.ts';
import { Copied, Panel } from './panel.tsx';

export function Commands({ taskId }: { taskId: string }) {
  return (
    <Panel name="commands" title="In a terminal">
      <details>
        <summary>The same by the program, grpcurl and curl</summary>
        <p class="quiet">Run on the machine of the service. The token is read from its file.</p>
        <dl>
          {commandsFor(taskId, location.origin).map(({ what, line }) => (
            <div key={what}><dt>{what}</dt><dd><Copied text={line} what={what} /></dd></div>
          ))}
        </dl>
      </details>
    </Panel>
  );
}
