// What was said back last.

import type { App } from '../app.ts';
import { visible } from '../text.ts';
import { Icon } from './icon.tsx';

export function NoticeList({ app }: { app: App }) {
  const notices = app.notices.shown.value;
  return (
    <div class="notices" role="log" aria-label="Notices" aria-live="polite">
      {notices.map(({ number, words, tone, link }) => (
        <div key={number} class={`notice ${tone}`}>
          <p>{visible(words)} {link && <a href={link.href} onClick={() => app.notices.dismiss(number)}>{link.words}</a>}</p>
          <button type="button" class="tool" aria-label="Dismiss" onClick={() => app.notices.dismiss(number)}><Icon of="cancel" /></button>
        </div>
      ))}
    </div>
  );
}
