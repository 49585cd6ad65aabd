// Dark or light: as the system has it, or as somebody chose here.

import { signal } from '@preact/signals';

export type Theme = 'system' | 'light' | 'dark';

const KEY = 'comet-task-runner.theme';
const THEMES: readonly Theme[] = ['system', 'light', 'dark'];

export const theme = signal<Theme>('system');

/** Shows what was chosen before. */
export function recallTheme(): void {
  show(THEMES.find((one) => one === localStorage.getItem(KEY)) ?? 'system');
}

/** Goes on to the next of the three. */
export function turnTheme(): void {
  const next = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? 'system';
  localStorage.setItem(KEY, next);
  show(next);
}

function show(chosen: Theme): void {
  theme.value = chosen;
  if (chosen === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}
