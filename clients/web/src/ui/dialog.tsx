// A window over the page that is left with Escape, by its button, or by a click beside it.

import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

export function Dialog({ title, leave, children }: { title: string; leave: () => void; children: ComponentChildren }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    // What opened it may be gone.
    return () => { (before instanceof HTMLElement && before.isConnected ? before : document.getElementById('heading'))?.focus(); };
  }, []);
  const beside = (event: MouseEvent) => { if (event.target === dialog.current) leave(); };
  return (
    <dialog ref={dialog} class="window" aria-labelledby="window-title" onClose={leave} onClick={beside}>
      <div class="window-inside">
        <div class="window-head">
          <h2 id="window-title">{title}</h2>
          <button type="button" class="small" onClick={leave}>Close</button>
        </div>
        {children}
      </div>
    </dialog>
  );
}
