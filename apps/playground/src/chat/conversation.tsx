import { useLayoutEffect, useRef } from 'preact/hooks';
import { deviceState } from '../state.ts';
import { phase, send, source, type Turn, turns } from './chat-state.ts';

/** Pixels from the end within which the log follows what is written. */
const near = 60;

/** What was said, the newest at the end. */
export function Conversation() {
  const box = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const all = turns.value;
  useLayoutEffect(() => {
    if (box.current && follows.current) box.current.scrollTop = box.current.scrollHeight;
  }, [all]);
  return (
    <div
      ref={box}
      class="conversation"
      role="log"
      aria-label="Conversation"
      // Heard once it is whole, not word by word.
      aria-busy={phase.value !== 'idle'}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: without a mouse it scrolls only when focused.
      tabIndex={0}
      onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
        follows.current = scrollHeight - scrollTop - clientHeight < near;
      }}
    >
      {all.length === 0 ? <Beginnings /> : all.map((turn, i) => <Said key={i} turn={turn} />)}
    </div>
  );
}

function Said({ turn }: { readonly turn: Turn }) {
  if (turn.role === 'user') {
    return (
      <div class="turn user">
        <span class="hidden">You: </span>
        <p>{turn.text}</p>
      </div>
    );
  }
  const { parts, ended } = turn;
  return (
    <div class="turn assistant">
      <span class="hidden">Model: </span>
      {parts.map(({ kind, text }, i) => (
        <p key={i} class={kind}>
          {kind === 'thought' && <span class="hidden">Thought: </span>}
          {text.trim()}
        </p>
      ))}
      {ended === undefined && <span class="cursor" aria-hidden="true" />}
      {ended === 'length' && <small>cut at the longest answer</small>}
      {ended === 'stopped' && <small>stopped</small>}
      {ended === 'failed' && <small>no answer</small>}
    </div>
  );
}

const beginnings = [
  'Tell me a tale with a duck.',
  'Add 20 and 31.',
  'Tell me a story about a clever wolf.',
];

/** Something to begin with: the demo model knows little else. */
function Beginnings() {
  if (source.value.kind !== 'demo') return <p class="waiting">Nothing was said yet.</p>;
  return (
    <div class="beginnings">
      <p class="waiting">
        The demo model tells short tales, answers questions about them, and adds numbers.
      </p>
      <ul>
        {beginnings.map((text) => (
          <li key={text}>
            <button
              type="button"
              class="quiet"
              disabled={deviceState.value.kind !== 'open'}
              onClick={() => void send(text)}
            >
              {text}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
