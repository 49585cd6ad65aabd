// Draws the page and opens it.

import './style.css';

import { effect } from '@preact/signals';
import { render } from 'preact';

import { App } from './app.ts';
import { keepTime } from './clock.ts';
import { followAddress } from './route.ts';
import { Page } from './ui/page.tsx';

followAddress();
const app = new App();
const root = document.getElementById('page');
if (root) render(<Page app={app} />, root);
keepTime(app.store.ticking);
effect(() => {
  const live = app.store.liveCount.value;
  document.title = live === 0 ? 'Comet Task Runner' : `(${live}) Comet Task Runner`;
});
void app.open();
