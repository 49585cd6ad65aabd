// A part of a job's page under a heading of its own, and what several parts are made of.

import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useRef } from 'preact/hooks';

import { linkFor, visible } from '../text.ts';

/** `beside` stands on the line of the heading. */
export function Panel({ name, title, beside, children }: { name: string; title: string; beside?: ComponentChildren; children: ComponentChildren }) {
  return (
    <section class={`panel panel-${name}`} aria-labelledby={`${name}-title`}>
      <div class="panel-head"><h3 id={`${name}-title`}>{title}</h3>{beside}</div>
      {children}
    </section>
  );
}

/** An address as text, and as a link where following it can do no more than open a page. */
export function Address({ url }: { url: string }) {
  const href = linkFor(url);
  const text = <bdi>{visible(url)}</bdi>;
  return href === undefined ? <span class="url">{text}</span> : <a class="url" href={href} target="_blank" rel="noreferrer noopener">{text}</a>;
}

/** A text that is copied by a button. Where the browser forbids that, it is selected instead. */
export function Copied({ text, what }: { text: string; what: string }) {
  const said = useSignal('');
  const code = useRef<HTMLElement>(null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      said.value = 'Copied';
    } catch {
      // Outside of secure contexts there is no such thing.
      if (code.current) getSelection()?.selectAllChildren(code.current);
      said.value = 'Selected: press Ctrl+C';
    }
  };
  return (
    <div class="copied">
      <code ref={code}>{visible(text)}</code>
      <button type="button" class="small" aria-label={`Copy: ${what}`} onClick={() => void copy()}>Copy</button>
      <span class="said" role="status">{said.value}</span>
    </div>
  );
}
