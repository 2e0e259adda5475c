import { Problem } from '../widgets/problem.tsx';
import { details, failure, running } from './case-state.ts';
import { ErrorMap } from './error-map.tsx';
import { Picker } from './picker.tsx';
import { Report } from './report.tsx';

/** A problem and its answers from a file, solved here and compared. */
export function CaseFileSection() {
  return (
    <section id="case-file" aria-labelledby="case-file-title">
      <h2 id="case-file-title">Case file</h2>
      <p class="lead">
        A case file holds the inputs of one FlashMLA call and, where it has them, the answers: those
        of float32 arithmetic and those of FlashMLA’s own kernel on an H200. It is a safetensors
        file with FlashMLA’s Python names, so PyTorch can write one.
      </p>
      <Picker />
      <p role="status" class="said" id="case-status">
        {running.value !== '' && `Running ${running.value} …`}
        {details.value &&
          `${details.value.name}: ${details.value.pass ? 'all answers agree' : 'answers differ'}`}
      </p>
      <Problem error={failure.value} />
      {details.value && (
        <>
          <Report details={details.value} />
          <ErrorMap details={details.value} />
        </>
      )}
    </section>
  );
}
