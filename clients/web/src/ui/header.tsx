// The bar at the top: whose page it is, how the connection stands, and what can be shown or turned on.

import type { Signal } from '@preact/signals';

import type { App } from '../app.ts';
import { telling, turnTelling } from '../attention.ts';
import { hrefOfList } from '../route.ts';
import { type Theme, theme, turnTheme } from '../theme.ts';
import { ConnectionState } from './connection.tsx';
import { Icon, type IconName } from './icon.tsx';

const THEMES: Record<Theme, { icon: IconName; words: string }> = {
  system: { icon: 'half', words: 'Colours: as the system has them' },
  light: { icon: 'sun', words: 'Colours: light' },
  dark: { icon: 'moon', words: 'Colours: dark' },
};

export function Header({ app, runnerShown, helpShown }: { app: App; runnerShown: Signal<boolean>; helpShown: Signal<boolean> }) {
  return (
    <header class="top">
      <h1><a href={hrefOfList()}><img src="/favicon.svg" width="20" height="20" alt="" />Comet Task Runner</a></h1>
      <ConnectionState app={app} />
      <nav class="tools" aria-label="This page">
        <button type="button" class="tool" aria-label="Runner" aria-expanded={runnerShown.value} onClick={() => { runnerShown.value = !runnerShown.value; }}>
          <Icon of="server" /><span>Runner</span>
        </button>
        <Bell app={app} />
        <button type="button" class="tool" aria-label={THEMES[theme.value].words} title={THEMES[theme.value].words} onClick={turnTheme}>
          <Icon of={THEMES[theme.value].icon} />
        </button>
        <button type="button" class="tool" aria-label="Keys" title="Keys (?)" onClick={() => { helpShown.value = true; }}><Icon of="key" /></button>
      </nav>
    </header>
  );
}

function Bell({ app }: { app: App }) {
  const stands = telling.value;
  if (stands === 'unsupported') return null;
  const turn = async () => {
    await turnTelling();
    if (telling.value === 'forbidden') app.notices.say('bad', 'This browser does not let the page notify you; allow it in the settings of the site.');
    if (telling.value === 'on') app.notices.say('good', 'You are told when a task ends while this page is not to be seen.');
  };
  const words = stands === 'on' ? 'Notifications are on' : 'Notify me when tasks end';
  return (
    <button type="button" class="tool" aria-pressed={stands === 'on'} aria-label={words} title={words} onClick={() => void turn()}>
      <Icon of={stands === 'on' ? 'bell' : 'bellOff'} />
    </button>
  );
}
