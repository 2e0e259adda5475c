import { useId } from 'preact/hooks';

interface Props {
  readonly label: string;
  readonly name: string;
  readonly scale: readonly number[];
  readonly value: number;
  /** The value in words, e.g. `64 tokens`. */
  readonly show?: (value: number) => string;
  readonly disabled?: boolean;
  readonly onChange: (value: number) => void;
}

/** A slider over the positions of a scale, with its value beside the label. */
export function Slider({ label, name, scale, value, show = String, disabled, onChange }: Props) {
  const id = useId();
  return (
    <div class="slider">
      <label for={id}>{label}</label>
      <output for={id}>{show(value)}</output>
      <input
        id={id}
        name={name}
        type="range"
        min={0}
        max={scale.length - 1}
        step={1}
        value={Math.max(0, scale.indexOf(value))}
        aria-valuetext={show(value)}
        disabled={disabled}
        onInput={(event) => onChange(scale[Number(event.currentTarget.value)] as number)}
      />
    </div>
  );
}
