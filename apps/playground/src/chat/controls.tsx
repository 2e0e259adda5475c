import { useId } from 'preact/hooks';
import { scales } from '../settings/settings.ts';
import { change, settings } from '../state.ts';
import { Slider } from '../widgets/slider.tsx';
import { ModelPicker } from './model-picker.tsx';

/** The model, and how its answers are drawn. */
export function ChatControls() {
  const { temperature, answer } = settings.value;
  return (
    <form class="controls" aria-label="Chat" onSubmit={(event) => event.preventDefault()}>
      <ModelPicker />
      <Slider
        label="Temperature"
        name="temperature"
        scale={scales.temperature}
        value={temperature}
        show={(value) => (value === 0 ? 'likeliest token' : value.toFixed(1))}
        onChange={(value) => change({ temperature: value })}
      />
      <Seed />
      <Slider
        label="Longest answer"
        name="answer"
        scale={scales.answer}
        value={answer}
        show={(n) => `${n} tokens`}
        onChange={(value) => change({ answer: value })}
      />
    </form>
  );
}

function Seed() {
  const id = useId();
  const { seed, temperature } = settings.value;
  return (
    <div class="seed">
      <label for={id}>Seed (0: another one each time)</label>
      <input
        id={id}
        name="seed"
        type="number"
        min={0}
        max={999_999}
        step={1}
        value={seed}
        disabled={temperature === 0}
        onChange={(event) => {
          const { valueAsNumber: typed } = event.currentTarget;
          const isSeed = Number.isInteger(typed) && typed >= 0 && typed <= 999_999;
          change({ seed: isSeed ? typed : 0 });
          if (!isSeed) event.currentTarget.value = '0';
        }}
      />
    </div>
  );
}
