import type { ComponentChildren } from 'preact';

interface Props {
  /** What scrolls, for who does not see it. */
  readonly label: string;
  readonly children: ComponentChildren;
}

/** A box for what may be larger than the page. */
export function Scroll({ label, children }: Props) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: without a mouse it scrolls only when focused.
    <section class="scroll" tabIndex={0} aria-label={label}>
      {children}
    </section>
  );
}
