import type { Detected } from '../engine/detect.ts';
import { change, chosenDevice, detection, deviceState, openChosen, settings } from '../state.ts';
import { Choice } from '../widgets/choice.tsx';
import { Slider } from '../widgets/slider.tsx';
import { Adapter } from './adapter.tsx';
import { OpenDevice } from './open-device.tsx';
import { threadScale } from './thread-scale.ts';
import { titles } from './titles.ts';

/** What this browser offers, why the rest is missing, and the device to use. */
export function DevicesSection() {
  const found = detection.value;
  return (
    <section id="devices" aria-labelledby="devices-title">
      <h2 id="devices-title">Devices</h2>
      <div class="split">
        <div>
          {found === undefined ? (
            <p class="waiting">Looking for devices …</p>
          ) : (
            <Picker devices={found.devices.filter(({ available }) => available)} />
          )}
          <Options />
        </div>
        <OpenDevice />
      </div>
      {found && (
        <>
          <Missing devices={found.devices.filter(({ available }) => !available)} />
          <Adapter detection={found} />
        </>
      )}
    </section>
  );
}

function Picker({ devices }: { readonly devices: readonly Detected[] }) {
  const chosen = chosenDevice();
  const pick = (id: string) => {
    change({ device: id as 'webgpu' | 'cpu' });
    void openChosen();
  };
  return (
    <fieldset class="picker">
      <legend>Run on</legend>
      {devices.map((each) => (
        <label key={each.id} class={each.id === chosen ? 'card chosen' : 'card'}>
          <input
            type="radio"
            name="device"
            value={each.id}
            checked={each.id === chosen}
            onChange={() => pick(each.id)}
          />
          <span>
            <b>{titles[each.id] ?? each.id}</b>
            <small>{summary(each)}</small>
          </span>
        </label>
      ))}
    </fieldset>
  );
}

function summary({ id, name, details }: Detected): string {
  const detail = new Map(details);
  if (id !== 'cpu') return name;
  const threads = detail.get('threads');
  return [
    `WebAssembly SIMD on ${threads} ${threads === '1' ? 'thread' : 'threads'}`,
    detail.get('relaxedSimd') === 'yes' ? 'relaxed multiply-add' : 'no relaxed SIMD',
  ].join(', ');
}

/** What the chosen device can be opened with. */
function Options() {
  const { limits, threads } = settings.value;
  const most = Math.min(64, detection.value?.hardwareThreads ?? 1);
  if (chosenDevice() === 'webgpu') {
    return (
      <Choice
        label="Limits and features"
        name="limits"
        value={limits}
        options={[
          { value: 'all', label: 'All of the adapter' },
          { value: 'default', label: 'What every device has' },
        ]}
        onChange={(value) => {
          change({ limits: value });
          void openChosen();
        }}
      />
    );
  }
  const canShare = detection.value?.crossOriginIsolated ?? false;
  return (
    <Slider
      label="Threads"
      name="threads"
      scale={threadScale(most, canShare ? threads : 0)}
      value={canShare ? threads || most : 1}
      disabled={!canShare}
      show={(n) => (n === most && canShare ? `all ${most}` : String(n))}
      onChange={(n) => {
        // All of them, on another machine too, rather than this number.
        change({ threads: n === most ? 0 : n });
        void openChosen();
      }}
    />
  );
}

/** Devices that are not here, why, and what would help. */
function Missing({ devices }: { readonly devices: readonly Detected[] }) {
  if (devices.length === 0) return null;
  const isOpen = deviceState.value.kind === 'failed' || devices.some(({ id }) => id === 'webgpu');
  return (
    <details class="missing" open={isOpen}>
      <summary>Not here: {devices.map(({ id }) => titles[id] ?? id).join(', ')}</summary>
      <dl>
        {devices.map(({ id, reason, looked, remedy }) => (
          <div key={id}>
            <dt>{titles[id] ?? id}</dt>
            <dd>
              {reason.charAt(0).toUpperCase() + reason.slice(1)}.{' '}
              {looked.length > 0 && <>Looked for: {looked.join('; ')}. </>}
              <em>{remedy}</em>
            </dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
