import { useSignal } from '@preact/signals';
import { writeSettings } from './settings/settings.ts';
import { deviceState, settings } from './state.ts';

const sections = [
  ['devices', 'Devices'],
  ['chat', 'Chat'],
  ['decode', 'Decode loop'],
  ['case-file', 'Case file'],
  ['self-test', 'Self-test'],
] as const;

export function Header() {
  return (
    <header class="top">
      <div class="brand">
        <img src="./icon.svg" alt="" width="36" height="36" />
        <div>
          <h1>FlashMLA for TypeScript</h1>
          <p>Multi-head Latent Attention on the devices of this browser</p>
        </div>
      </div>
      <nav aria-label="Sections">
        {sections.map(([id, label]) => (
          <a key={id} href={`#${id}`}>
            {label}
          </a>
        ))}
      </nav>
      <div class="tools">
        <DeviceChip />
        <ShareButton />
      </div>
    </header>
  );
}

function DeviceChip() {
  const state = deviceState.value;
  const text =
    state.kind === 'open'
      ? state.device.id
      : state.kind === 'opening'
        ? `${state.id} …`
        : `${state.id}: failed`;
  return (
    <span class={`chip ${state.kind}`}>
      <span class="dot" aria-hidden="true" />
      {text}
    </span>
  );
}

/** Copies the link; the address bar has it, too. */
function ShareButton() {
  const said = useSignal('');
  const share = async () => {
    const { origin, pathname } = location;
    const link = `${origin}${pathname}${writeSettings(settings.value)}`;
    try {
      await navigator.clipboard.writeText(link);
      said.value = 'Link copied';
    } catch {
      said.value = 'The address bar has the link';
    }
    setTimeout(() => {
      said.value = '';
    }, 2500);
  };
  return (
    <>
      <button type="button" class="quiet" onClick={share}>
        Share settings
      </button>
      <span class="said" role="status">
        {said.value}
      </span>
    </>
  );
}
