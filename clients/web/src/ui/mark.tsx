// The shape of a status, drawn.

import type { Look } from '../statuses.ts';

export function Mark({ look }: { look: Look }) {
  return (
    <svg class={`mark ${look.tone}`} viewBox="0 0 16 16" width="18" height="18" aria-hidden="true">
      <Shape of={look.shape} />
    </svg>
  );
}

function Shape({ of }: { of: Look['shape'] }) {
  switch (of) {
    case 'dashed':
      return <circle class="stroke" cx="8" cy="8" r="6" stroke-dasharray="2.6 2.1" />;
    case 'dot':
      return <><circle class="fill" cx="8" cy="8" r="4" /><circle class="stroke" cx="8" cy="8" r="6.6" /></>;
    case 'square':
      return <rect class="fill" x="3" y="3" width="10" height="10" rx="1.5" />;
    case 'tick':
      return <path class="stroke" d="m2.5 8.6 3.6 3.7 7.4-8.6" />;
    case 'cross':
      return <path class="stroke" d="m3.5 3.5 9 9m0-9-9 9" />;
    case 'bar':
      return <><circle class="stroke" cx="8" cy="8" r="6" /><path class="stroke" d="m4 12 8-8" /></>;
    case 'clock':
      return <><circle class="stroke" cx="8" cy="8" r="6" /><path class="stroke" d="M8 4.4V8l2.4 1.8" /></>;
    case 'question':
      return <><path class="stroke" d="M5 5.6C5.2 3.8 6.5 3 8 3s3 .9 3 2.7C11 8 8 7.6 8 10" /><circle class="fill" cx="8" cy="13" r="1.2" /></>;
  }
}
