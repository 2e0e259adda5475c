import { cacheBytes } from '../engine/decode/settings.ts';
import { scales } from '../settings/settings.ts';
import { change, deviceState, settings } from '../state.ts';
import { Choice } from '../widgets/choice.tsx';
import { bytes, count } from '../widgets/format.ts';
import { Problem } from '../widgets/problem.tsx';
import { Slider } from '../widgets/slider.tsx';
import { failure, loopSettings, phase, sample, startLoop, stopLoop } from './loop-state.ts';

export function Controls() {
  const { layout, batch, heads, tokens, spread, topk, page } = settings.value;
  const isOpen = deviceState.value.kind === 'open';
  const isRunning = phase.value !== 'idle';
  return (
    <form class="controls" aria-label="Decode loop" onSubmit={(event) => event.preventDefault()}>
      <Choice
        label="Cache rows"
        name="layout"
        value={layout}
        options={[
          { value: 'bf16', label: 'bf16', hint: '1152 B, all' },
          { value: 'v32', label: 'v32', hint: '656 B, top-k' },
          { value: 'model1', label: 'model1', hint: '584 B, top-k' },
        ]}
        onChange={(value) => change({ layout: value })}
      />
      <Slider
        label="Requests"
        name="batch"
        scale={scales.batch}
        value={batch}
        onChange={(value) => change({ batch: value })}
      />
      <Slider
        label="Query heads"
        name="heads"
        scale={scales.heads}
        value={heads}
        onChange={(value) => change({ heads: value })}
      />
      <Slider
        label="Longest prompt"
        name="tokens"
        scale={scales.tokens}
        value={tokens}
        show={(n) => `${n} tokens`}
        onChange={(value) => change({ tokens: value })}
      />
      <Slider
        label="Shorter prompts"
        name="spread"
        scale={scales.spread}
        value={spread}
        show={(n) => (n === 0 ? 'none' : `up to ${n} % less`)}
        onChange={(value) => change({ spread: value })}
      />
      {layout !== 'bf16' && (
        <Slider
          label="Top-k"
          name="topk"
          scale={scales.topk}
          value={topk}
          show={(n) => `${n} tokens`}
          onChange={(value) => change({ topk: value })}
        />
      )}
      <Slider
        label="Page"
        name="page"
        scale={scales.page}
        value={page}
        show={(n) => `${n} tokens`}
        onChange={(value) => change({ page: value })}
      />
      <p class="note">Cache: {bytes(cacheBytes(loopSettings.value))} on the device</p>
      <div class="actions">
        <button
          type="button"
          class="primary"
          disabled={!isOpen}
          onClick={() => (isRunning ? stopLoop() : void startLoop())}
        >
          {isRunning ? 'Stop' : 'Decode'}
        </button>
        <Status />
      </div>
      <Problem error={failure.value} />
    </form>
  );
}

/** Says when something begins or ends; the figures themselves would talk without end. */
function Status() {
  const words = {
    idle: sample.value ? 'Stopped' : '',
    measuring: 'Measuring what the device can do at most …',
    filling: 'Filling the cache …',
    running: 'Decoding',
  }[phase.value];
  const finished = phase.value === 'idle' ? sample.value?.finished : undefined;
  return (
    <span role="status" class="said" id="loop-status">
      {words}
      {finished ? `; ${count(finished, 'request')} served to the end` : ''}
    </span>
  );
}
