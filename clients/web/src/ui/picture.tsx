// A screenshot that was just taken from the list. It stands apart from its row, which may go while somebody looks at it.

import { signal } from '@preact/signals';

import { save } from '../job/keeping.ts';
import { Pictured, type Picture } from '../job/picture.tsx';
import { visible } from '../text.ts';
import { Dialog } from './dialog.tsx';

/** What is shown, and the address that the task was opened with. */
export const shownPicture = signal<{ picture: Picture; url: string } | undefined>(undefined);

export function ShownPicture() {
  const shown = shownPicture.value;
  if (!shown) return null;
  const { picture, url } = shown;
  return (
    <Dialog title="Screenshot" leave={() => { shownPicture.value = undefined; }}>
      <p class="soft"><bdi>{visible(url)}</bdi></p>
      <Pictured picture={picture}>{(href) => (
        <>
          <img class="picture" src={href} alt={picture.words} />
          <p class="soft">{picture.words}</p>
        </>
      )}</Pictured>
      <button type="button" class="small" onClick={() => save(picture.blob, picture.name)}>Save picture</button>
    </Dialog>
  );
}
