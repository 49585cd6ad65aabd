// The keys that the page knows.

import type { Signal } from '@preact/signals';

import { SHORTCUTS } from '../shortcuts.ts';
import { Dialog } from './dialog.tsx';

export function Help({ shown }: { shown: Signal<boolean> }) {
  if (!shown.value) return null;
  return (
    <Dialog title="Keys" leave={() => { shown.value = false; }}>
      <dl class="keys">
        {SHORTCUTS.map(({ keys, does }) => (
          <div key={keys}><dt>{keys.split(', ').map((key) => <kbd key={key}>{key}</kbd>)}</dt><dd>{does}</dd></div>
        ))}
      </dl>
    </Dialog>
  );
}
