// The page: what one can do, how it stands, what there is.

import type { App } from '../app.ts';
import { ConnectionState } from './connection.tsx';
import { Enter } from './enter.tsx';
import { ExecuteForm } from './execute.tsx';
import { Footer } from './footer.tsx';
import { List } from './list.tsx';

export function Page({ app }: { app: App }) {
  const needsToken = app.store.connection.value.state === 'token needed';
  return (
    <>
      <header>
        <h1>Comet Task Runner</h1>
        <ConnectionState app={app} />
      </header>
      <main>
        {needsToken ? <Enter app={app} /> : <ExecuteForm app={app} />}
        <List app={app} />
      </main>
      <Footer app={app} />
    </>
  );
}
