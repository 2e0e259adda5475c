import type { CaseOutcome } from '../engine/self-test.ts';
import { milliseconds, scientific } from '../widgets/format.ts';
import { Scroll } from '../widgets/scroll.tsx';

/** Beyond that, squares would take longer to draw than cases to run. */
const mostSquares = 600;

/** A row for each operation with a square for each case, then what failed and, folded, everything. */
export function Results({ outcomes }: { readonly outcomes: readonly CaseOutcome[] }) {
  const operations = [...new Set(outcomes.map(({ op }) => op))];
  const failures = outcomes.filter(({ status }) => status === 'failed');
  const excluded = outcomes.filter(({ status }) => status === 'excluded');
  return (
    <div class="results">
      <table class="operations">
        <thead>
          <tr>
            <th scope="col">Operation</th>
            <th scope="col">Passed</th>
            <th scope="col">Largest error</th>
            <th scope="col">Each case</th>
          </tr>
        </thead>
        <tbody>
          {operations.map((op) => (
            <Operation key={op} op={op} outcomes={outcomes.filter((each) => each.op === op)} />
          ))}
        </tbody>
      </table>
      {failures.length > 0 && <Failures failures={failures} />}
      {excluded.length > 0 && (
        <p class="note">
          Not run: {excluded.map(({ name, message }) => `${name} (${message})`).join('; ')}
        </p>
      )}
      <AllCases outcomes={outcomes} />
    </div>
  );
}

function Operation({ op, outcomes }: { op: string; outcomes: readonly CaseOutcome[] }) {
  const passed = outcomes.filter(({ status }) => status === 'passed').length;
  const worst = Math.max(...outcomes.map(({ largestError }) => largestError));
  return (
    <tr>
      <th scope="row">{op}</th>
      <td class={passed === outcomes.length ? 'good' : ''}>
        {passed} / {outcomes.length}
      </td>
      <td>{scientific(worst)}</td>
      <td class="squares" aria-hidden="true">
        {outcomes.slice(-mostSquares).map(({ name, status }) => (
          <i key={name} class={status} title={name} />
        ))}
      </td>
    </tr>
  );
}

function Failures({ failures }: { readonly failures: readonly CaseOutcome[] }) {
  return (
    <Scroll label="Failures">
      <table class="failures">
        <caption>What failed</caption>
        <thead>
          <tr>
            <th scope="col">Case</th>
            <th scope="col">What is wrong</th>
          </tr>
        </thead>
        <tbody>
          {failures.map(({ name, message }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>{message}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

function AllCases({ outcomes }: { readonly outcomes: readonly CaseOutcome[] }) {
  return (
    <details>
      <summary>Each case</summary>
      <Scroll label="Each case">
        <table id="cases">
          <thead>
            <tr>
              <th scope="col">Case</th>
              <th scope="col">Result</th>
              <th scope="col">Time</th>
              <th scope="col">Largest error</th>
            </tr>
          </thead>
          <tbody>
            {outcomes.slice(-mostSquares).map(({ name, status, microseconds, largestError }) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td class={status === 'passed' ? 'good' : status === 'failed' ? 'bad' : ''}>
                  {status}
                </td>
                <td class="nowrap">{milliseconds(microseconds / 1e3)}</td>
                <td>{scientific(largestError)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </details>
  );
}
