import { change, deviceState, settings } from '../state.ts';
import { Choice } from '../widgets/choice.tsx';
import { count } from '../widgets/format.ts';
import { Problem } from '../widgets/problem.tsx';
import { Results } from './results.tsx';
import {
  failure,
  finished,
  isRunning,
  outcomes,
  progress,
  selected,
  startTest,
  stopTest,
} from './test-state.ts';

/** The conformance suite on the open device. */
export function SelfTestSection() {
  const { suite, filter } = settings.value;
  const isOpen = deviceState.value.kind === 'open';
  const running = isRunning.value;
  return (
    <section id="self-test" aria-labelledby="self-test-title">
      <h2 id="self-test-title">Self-test</h2>
      <p class="lead">
        Every operation against the float64 reference, within the bounds of FlashMLA’s own tests:
        the same cases that the library’s tests run on every backend.
      </p>
      <form
        class="test-controls"
        aria-label="Self-test"
        onSubmit={(event) => {
          event.preventDefault();
          if (running) stopTest();
          else void startTest();
        }}
      >
        <Choice
          label="Suite"
          name="suite"
          value={suite}
          options={[
            { value: 'quick', label: 'Quick', hint: 'every feature' },
            { value: 'full', label: 'Full', hint: 'the whole grid, hours' },
          ]}
          onChange={(value) => change({ suite: value })}
        />
        <label class="text">
          Only cases with these words
          <input
            type="search"
            name="filter"
            value={filter}
            maxLength={100}
            placeholder="e.g. sparse v32"
            onInput={(event) => change({ filter: event.currentTarget.value })}
          />
        </label>
        <button
          type="submit"
          class="primary"
          disabled={!isOpen || (!running && selected.value === 0)}
        >
          {running
            ? 'Stop'
            : selected.value === undefined
              ? 'Run'
              : `Run ${count(selected.value, 'case')}`}
        </button>
      </form>
      <ProgressBar />
      <Problem error={failure.value} />
      {outcomes.value.length > 0 && <Results outcomes={outcomes.value} />}
    </section>
  );
}

function ProgressBar() {
  const at = progress.value;
  const done = outcomes.value.length;
  const failed = outcomes.value.filter(({ status }) => status === 'failed').length;
  const verdict = failed === 0 ? 'none failed' : `${failed} failed`;
  // Announced at the start, at every tenth and at the end, not case by case.
  const tenth = at && at.total > 0 ? Math.floor((10 * done) / at.total) * 10 : 0;
  const words =
    finished.value !== undefined
      ? `${count(done, 'case')} in ${finished.value.toFixed(1)} s, ${verdict}`
      : isRunning.value
        ? `Running, ${tenth} %, ${verdict}`
        : at
          ? `Stopped after ${count(done, 'case')}, ${verdict}`
          : '';
  return (
    <div class="progress">
      {at && (
        <>
          <progress aria-label="Cases done" max={at.total} value={done} />
          <span class="at">
            {done} / {at.total}
            {isRunning.value && <small>{at.name}</small>}
          </span>
        </>
      )}
      <p role="status" class="said" id="test-status">
        {words}
      </p>
    </div>
  );
}
