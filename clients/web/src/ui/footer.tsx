// What runs the tasks, and what stands in their way.

import type { App } from '../app.ts';
import { visible } from '../text.ts';

export function Footer({ app }: { app: App }) {
  const runner = app.store.runner.value;
  if (!runner) return <footer />;
  const browsers = runner.browsers.map(({ name, version }) => (version === '' ? name : `${name} ${version}`));
  return (
    <footer>
      {runner.problems.map(({ what, remedy }) => (
        <p class="problem" key={what}>{visible(remedy === '' ? what : `${what}; ${remedy}`)}</p>
      ))}
      <p>
        <span>Version {visible(runner.version)}</span> <span>on {visible(runner.host)}</span>{' '}
        <span>{browsers.length === 0 ? 'No browser found' : visible(browsers.join(', '))}</span>
      </p>
    </footer>
  );
}
