// A screenshot that was just taken.

import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

import { Screenshot_Format as Format, type Screenshot, Screenshot_Source as Source } from '../gen/comet/taskrunner/v1/task_runner_pb.ts';
import { millis, timeOf, visible } from '../text.ts';
import { Dialog } from './dialog.tsx';

export function Picture({ of: picture, url, leave }: { of: Screenshot; url: string; leave: () => void }) {
  const href = useSignal('');
  useEffect(() => {
    const type = picture.format === Format.JPEG ? 'image/jpeg' : 'image/png';
    const reader = new FileReader();
    // The page's policy allows pictures in addresses of their own.
    reader.onload = () => { href.value = String(reader.result); };
    reader.readAsDataURL(new Blob([picture.image.slice()], { type }));
    return () => reader.abort();
  }, [picture]);
  const taken = millis(picture.capturedAt);
  return (
    <Dialog title="Screenshot" leave={leave}>
      <p class="soft"><bdi>{visible(url)}</bdi> {picture.source === Source.WINDOW ? 'Its window' : 'Its page'}{taken === undefined ? '' : ` at ${timeOf(taken)}`},{' '}
        {picture.width} × {picture.height}{picture.truncated ? ', cut off at the right or below' : ''}.</p>
      {href.value !== '' && <>
        <img class="picture" src={href.value} width={picture.width} height={picture.height} alt={`What ${visible(url)} shows`} />
        <p><a href={href.value} download={picture.format === Format.JPEG ? 'screenshot.jpg' : 'screenshot.png'}>Save it</a></p>
      </>}
    </Dialog>
  );
}
