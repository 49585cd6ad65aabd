// Draws the page and opens it.

import './styles/base.css';
import './styles/shell.css';
import './styles/list.css';
import './styles/form.css';
import './styles/panels.css';

import { render } from 'preact';

import { App } from './app.ts';
import { recallTelling, showCounts } from './attention.ts';
import { keepTime } from './clock.ts';
import { followAddress } from './route.ts';
import { recallTheme } from './theme.ts';
import { Page } from './ui/page.tsx';

recallTheme();
followAddress();
const app = new App();
const root = document.getElementById('page');
if (root) render(<Page app={app} />, root);
keepTime(app.store.ticking);
showCounts(app.store);
recallTelling(app.store);
void app.open();
