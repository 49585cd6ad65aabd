// Small pictures for buttons; the words for them stand beside, or in the button's name.

const PATHS = {
  cancel: 'M4.5 4.5l7 7m0-7l-7 7',
  again: 'M13 8a5 5 0 1 1-1.6-3.7M13 2v3h-3',
  window: 'M2.5 3.5h11v9h-11zM2.5 6.2h11',
  camera: 'M2 5h2.6l1.2-1.8h4.4L11.4 5H14v7.8H2zM8 6.8a2 2 0 1 0 0 4 2 2 0 0 0 0-4z',
  out: 'M9.5 2.5h4v4M13.2 2.8L7.5 8.5M11.5 9v4h-9v-9h4',
  bell: 'M3.5 11.5h9L11.3 9.6V7a3.3 3.3 0 0 0-6.6 0v2.6zM6.8 13.4h2.4',
  bellOff: 'M3.5 11.5h9L11.3 9.6V7a3.3 3.3 0 0 0-6.6 0v2.6zM6.8 13.4h2.4M2.5 2.5l11 11',
  sun: 'M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6zM8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3M3.4 3.4l.9.9M11.7 11.7l.9.9M12.6 3.4l-.9.9M4.3 11.7l-.9.9',
  moon: 'M13 9.8A5.6 5.6 0 0 1 6.2 3 5.6 5.6 0 1 0 13 9.8z',
  half: 'M8 2.5a5.5 5.5 0 1 0 0 11zM8 2.5a5.5 5.5 0 0 1 0 11',
  server: 'M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.01M5 11h.01',
  up: 'M8 12.5v-9M4.5 7L8 3.5 11.5 7',
  down: 'M8 3.5v9M4.5 9L8 12.5 11.5 9',
  search: 'M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.4 10.4l3.1 3.1',
  key: 'M2.5 4.5h11v7h-11zM5 9.3h6M5 7h.01M8 7h.01M11 7h.01',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ of }: { of: IconName }) {
  return <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><path d={PATHS[of]} /></svg>;
}
