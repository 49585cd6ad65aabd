import { defineConfig } from 'vite';

export default defineConfig({
  // Nothing inlined: the page's policy allows no data: but images, and a hash in each name lets browsers keep them.
  build: { target: 'es2022', cssTarget: ['chrome123', 'firefox120', 'safari17.5'], assetsInlineLimit: 0, modulePreload: { polyfill: false }, emptyOutDir: true },
  worker: { format: 'es' },
});
