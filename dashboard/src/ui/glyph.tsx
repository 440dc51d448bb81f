// The page's signs, drawn by hand on a 16-pixel grid. Each status has a shape of its own, so that none is told by
// colour alone.

import type { JSX } from "preact";

const shapes = {
  check: (
    <>
      <circle cx="8" cy="8" r="7" fill="currentColor" />
      <path d="M4.7 8.3 7 10.6l4.4-4.9" fill="none" stroke="var(--surface)" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round" />
    </>
  ),
  cross: (
    <>
      <rect x="1.5" y="1.5" width="13" height="13" rx="3" fill="currentColor" />
      <path d="m5.3 5.3 5.4 5.4m0-5.4-5.4 5.4" stroke="var(--surface)" stroke-width="1.7" stroke-linecap="round" />
    </>
  ),
  octagon: (
    <>
      <path d="M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1z" fill="currentColor" />
      <path d="M8 4.2v4.4" stroke="var(--surface)" stroke-width="1.8" stroke-linecap="round" />
      <circle cx="8" cy="11.4" r="1.1" fill="var(--surface)" />
    </>
  ),
  triangle: (
    <>
      <path d="M6.8 1.9a1.4 1.4 0 0 1 2.4 0l5.9 10.4a1.4 1.4 0 0 1-1.2 2.1H2.1a1.4 1.4 0 0 1-1.2-2.1z" fill="currentColor" />
      <path d="M8 5.6v3.6" stroke="var(--surface)" stroke-width="1.7" stroke-linecap="round" />
      <circle cx="8" cy="11.8" r="1" fill="var(--surface)" />
    </>
  ),
  info: (
    <>
      <circle cx="8" cy="8" r="6.3" fill="none" stroke="currentColor" stroke-width="1.5" />
      <path d="M8 7.4v3.8" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" />
      <circle cx="8" cy="4.8" r="1" fill="currentColor" />
    </>
  ),
  partial: (
    <>
      <circle cx="8" cy="8" r="6.3" fill="none" stroke="currentColor" stroke-width="1.5" />
      <path d="M8 1.7a6.3 6.3 0 0 1 0 12.6z" fill="currentColor" />
    </>
  ),
  running: (
    <>
      <circle cx="8" cy="8" r="6.3" fill="none" stroke="currentColor" stroke-width="1.5" stroke-dasharray="2.4 2" />
      <circle cx="8" cy="8" r="2.2" fill="currentColor" />
    </>
  ),
  question: (
    <>
      <circle cx="8" cy="8" r="6.3" fill="none" stroke="currentColor" stroke-width="1.5" stroke-dasharray="3 2" />
      <path d="M6.1 6.3a2 2 0 1 1 2.9 1.8c-.7.4-1 .7-1 1.4" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" />
      <circle cx="8" cy="11.6" r=".9" fill="currentColor" />
    </>
  ),
  copy: (
    <path d="M5.5 4.5v-2h8v8h-2m-9-6h8v9h-8z" fill="none" stroke="currentColor" stroke-width="1.3" stroke-linejoin="round" />
  ),
  clock: (
    <>
      <circle cx="8" cy="8" r="6.3" fill="none" stroke="currentColor" stroke-width="1.5" />
      <path d="M8 4.5V8l2.4 1.6" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" />
    </>
  ),
  person: (
    <path d="M8 2.2a2.6 2.6 0 1 1 0 5.2 2.6 2.6 0 0 1 0-5.2M2.8 13.8c.3-3 2.4-4.6 5.2-4.6s4.9 1.6 5.2 4.6z" fill="none" stroke="currentColor" stroke-width="1.4" stroke-linejoin="round" />
  ),
  moon: <path d="M13.4 9.9A5.9 5.9 0 0 1 6.1 2.6a5.9 5.9 0 1 0 7.3 7.3z" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round" />,
  chevron: <path d="m6 4 4 4-4 4" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" />,
  arrow: <path d="M3 8h9.5M9 4.5 12.5 8 9 11.5" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" />,
  external: <path d="M6.5 3.5h-3v9h9v-3M9 2.8h4.2V7M13 3 7.5 8.5" fill="none" stroke="currentColor" stroke-width="1.4" stroke-linecap="round" stroke-linejoin="round" />,
  download: <path d="M8 2.5v7m-3-2.8 3 3 3-3M3 13h10" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" />,
  sync: (
    <path d="M13.2 6.6A5.4 5.4 0 0 0 3.4 5.2m-.6 4.2a5.4 5.4 0 0 0 9.8 1.4M3.2 2.4v2.9h2.9m6.7 8.3v-2.9H9.9" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" />
  ),
  empty: <circle cx="8" cy="8" r="6.3" fill="none" stroke="currentColor" stroke-width="1.3" stroke-dasharray="1.5 2.5" stroke-linecap="round" />,
} satisfies Record<string, JSX.Element>;

export type GlyphName = keyof typeof shapes;

/** A sign beside a word that says the same; so it is hidden from screen readers. */
export function Glyph({ name }: { name: GlyphName }) {
  return (
    <svg class={`glyph glyph-${name}`} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      {shapes[name]}
    </svg>
  );
}
