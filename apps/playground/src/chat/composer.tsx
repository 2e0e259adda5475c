import { useSignal } from '@preact/signals';
import { useId } from 'preact/hooks';
import { deviceState } from '../state.ts';
import { percent } from '../widgets/format.ts';
import { Problem } from '../widgets/problem.tsx';
import { clear, failure, phase, progress, send, stop, times, turns } from './chat-state.ts';

/** Where the user writes. */
export function Composer() {
  const id = useId();
  const text = useSignal('');
  const isOpen = deviceState.value.kind === 'open';
  const isIdle = phase.value === 'idle';
  const submit = () => {
    const message = text.value.trim();
    if (message === '' || !isOpen || !isIdle) return;
    text.value = '';
    void send(message);
  };
  return (
    <form
      class="composer"
      aria-label="Message"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <label for={id} class="hidden">
        Message to the model
      </label>
      <textarea
        id={id}
        rows={2}
        placeholder="Write to the model"
        value={text.value}
        onInput={(event) => {
          text.value = event.currentTarget.value;
        }}
        onKeyDown={(event) => {
          // Enter within a word of an input method chooses the word.
          if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          submit();
        }}
      />
      <div class="actions">
        {isIdle ? (
          <button type="submit" class="primary" disabled={!isOpen || text.value.trim() === ''}>
            Send
          </button>
        ) : (
          <button type="button" class="primary" onClick={stop}>
            Stop
          </button>
        )}
        <button type="button" disabled={turns.value.length === 0} onClick={clear}>
          New conversation
        </button>
        <Status />
      </div>
      <Problem error={failure.value} />
    </form>
  );
}

/** Says when something begins or ends; the text itself is in the log. */
function Status() {
  const last = turns.value.at(-1);
  const ended = last?.role === 'assistant' ? last.ended : undefined;
  const [now, at] = [times.value, progress.value];
  const words = {
    loading: 'Loading the model …',
    answering: 'Answering …',
    idle: {
      ...{ stop: 'Answered', length: 'Answered, cut', stopped: 'Stopped', failed: 'Failed' },
      none: '',
    }[ended ?? 'none'],
  }[phase.value];
  const share = phase.value === 'loading' && at ? ` ${percent(at.done / at.total)}` : '';
  return (
    <>
      <span role="status" class="said" id="chat-status">
        {words}
        {phase.value === 'idle' && now && ended && ended !== 'failed'
          ? `, ${now.tokens} tokens`
          : ''}
      </span>
      <span class="said" aria-hidden="true">
        {share}
      </span>
    </>
  );
}
