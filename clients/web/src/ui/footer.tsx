// What program this page is of, and where it runs.

import type { App } from '../app.ts';
import { visible } from '../text.ts';

export function Footer({ app }: { app: App }) {
  const runner = app.store.runner.value;
  if (!runner) return <footer />;
  const browsers = runner.browsers.map(({ name, version }) => (version === '' ? name : `${name} ${version}`));
  return (
    <footer>
      <span>Version {visible(runner.version)}</span> <span>on {visible(runner.host)}</span>{' '}
      <span>{browsers.length === 0 ? 'No browser found' : visible(browsers.join(', '))}</span>
    </footer>
  );
}
