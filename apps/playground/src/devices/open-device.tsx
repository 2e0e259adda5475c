import type { OpenedDevice } from '../engine/open.ts';
import { deviceState, openChosen } from '../state.ts';
import { milliseconds, scientific } from '../widgets/format.ts';
import { Problem } from '../widgets/problem.tsx';
import { titles } from './titles.ts';

/** The device that is open: how long that took, its first decode, and its facts. */
export function OpenDevice() {
  const state = deviceState.value;
  return (
    <div class="open-device">
      <div role="status">
        {state.kind === 'opening' && (
          <p class="waiting">Opening {titles[state.id] ?? 'the device'} …</p>
        )}
        {state.kind === 'open' && <Opened device={state.device} />}
      </div>
      {state.kind === 'open' && <Facts device={state.device} />}
      {state.kind === 'failed' && (
        <>
          <Problem error={state.error} />
          <button type="button" onClick={() => void openChosen()}>
            Open it again
          </button>
        </>
      )}
    </div>
  );
}

interface Props {
  readonly device: OpenedDevice;
}

function Opened({ device: { name, openMs, first } }: Props) {
  const { comparison, ms } = first;
  return (
    <>
      <h3>{name === 'CPU' ? titles.cpu : name}</h3>
      <p>
        Opened in <b class="nowrap">{milliseconds(openMs)}</b>, first decode in{' '}
        <b class="nowrap">{milliseconds(ms)}</b> with its kernels compiled on the way:{' '}
        <span class={comparison.pass ? 'good nowrap' : 'bad nowrap'} id="first-decode">
          {comparison.pass ? '✓ right' : '✗ wrong'}
        </span>
        , off by at most <span class="nowrap">{scientific(comparison.maxAbsolute)}</span> from the
        float64 reference, {comparison.pass ? 'within' : 'beyond'} FlashMLA’s own bounds.
      </p>
    </>
  );
}

function Facts({ device: { id, details, memoryBytes } }: Props) {
  return (
    <table class="facts">
      <caption class="hidden">Facts about {titles[id] ?? id}</caption>
      <tbody>
        {Object.entries(details)
          .filter(([label]) => label !== 'features')
          .map(([label, value]) => (
            <tr key={label}>
              <th scope="row">{words(label)}</th>
              <td>{typeof value === 'boolean' ? (value ? 'yes' : 'no') : value}</td>
            </tr>
          ))}
        {memoryBytes !== undefined && (
          <tr>
            <th scope="row">address space</th>
            <td>{(memoryBytes / 2 ** 30).toFixed(1)} GiB</td>
          </tr>
        )}
      </tbody>
    </table>
  );
}

/** `sharedMemory` → `shared memory`; labels in words stay as they are. */
function words(label: string): string {
  if (label.includes(' ')) return label;
  return label.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).replace('simd', 'SIMD');
}
