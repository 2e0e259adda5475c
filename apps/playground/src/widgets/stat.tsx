import type { ComponentChildren } from 'preact';

interface Props {
  readonly label: string;
  readonly value: string;
  readonly unit?: string;
  readonly hint?: ComponentChildren;
  readonly main?: boolean;
}

/** One figure with its unit. */
export function Stat({ label, value, unit = '', hint, main = false }: Props) {
  return (
    <div class={main ? 'stat main' : 'stat'}>
      <dt>{label}</dt>
      <dd>
        <b>{value}</b>
        {unit && <span>{unit}</span>}
        {hint !== undefined && <small>{hint}</small>}
      </dd>
    </div>
  );
}
