import type { CaseDetails } from '../engine/case-tasks.ts';
import { milliseconds, scientific } from '../widgets/format.ts';
import { Scroll } from '../widgets/scroll.tsx';

const namesOf: Readonly<Record<string, string>> = {
  expected: 'float32 answer',
  flashmla: 'FlashMLA on an H200',
};

/** The problem in words, and how each answer agrees. */
export function Report({ details }: { readonly details: CaseDetails }) {
  const { op, facts, microseconds, comparisons, against } = details;
  return (
    <div class="report">
      <p class="case-facts">
        <span>
          <code>{op}</code> in <b>{milliseconds(microseconds / 1e3)}</b>
        </span>
        {facts.map(([label, value]) => (
          <span key={label} class="fact">
            <i>{label}</i> {value}
          </span>
        ))}
      </p>
      {!against.includes('expected') && (
        <p class="note">The file has no answers, so the float64 reference gave them just now.</p>
      )}
      <Scroll label="Agreement with the answers">
        <table id="comparisons">
          <thead>
            <tr>
              {['Answer', 'Against', '', 'Largest |error|', 'Beyond bounds', '1 − cosine'].map(
                (t) => (
                  <th key={t} scope="col">
                    {t || <span class="hidden">Verdict</span>}
                  </th>
                ),
              )}
            </tr>
          </thead>
          <tbody>
            {comparisons.map((each) => (
              <tr key={`${each.answer} ${each.against}`}>
                <th scope="row">
                  <code>{each.answer}</code>
                </th>
                <td>{namesOf[each.against] ?? each.against}</td>
                <td class={each.pass ? 'good nowrap' : 'bad nowrap'}>
                  {each.pass ? '✓ agrees' : '✗ differs'}
                </td>
                <td>{scientific(each.maxAbsolute)}</td>
                <td>
                  {each.failed.toLocaleString('en')} of {each.compared.toLocaleString('en')}
                </td>
                <td>
                  {each.tolerance.cosine === undefined ? '–' : scientific(Math.abs(each.cosine))}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </div>
  );
}
