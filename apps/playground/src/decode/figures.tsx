import { ceilings } from '../state.ts';
import { digits, milliseconds, rate, scientific } from '../widgets/format.ts';
import { Stat } from '../widgets/stat.tsx';
import { point, sample } from './loop-state.ts';
import { roofAt } from './roofs.ts';

export function Figures() {
  const [now, at] = [sample.value, point.value];
  const roof = at && roofAt(ceilings.value, at.intensity);
  const share = at && roof !== undefined ? `${digits((100 * at.flopsPerSecond) / roof)} %` : '–';
  return (
    <>
      <dl class="figures" id="figures">
        <Stat
          main
          label="Decoded"
          value={now ? digits(now.tokensPerSecond) : '–'}
          unit="tokens/s"
          hint="through one layer"
        />
        <Stat
          label="Step"
          value={now ? milliseconds(now.stepMs) : '–'}
          hint="median, with appending and waiting"
        />
        <Stat
          label="Attention"
          value={now ? milliseconds(now.kernelMs) : '–'}
          hint={now?.isDeviceTime ? 'by the device’s clock' : 'back to back, wall time'}
        />
        <Stat label="Arithmetic" {...rate(at?.flopsPerSecond ?? Number.NaN, 'FLOP/s')} />
        <Stat
          label="Memory"
          {...rate(at?.bytesPerSecond ?? Number.NaN, 'B/s')}
          hint="rows, queries, output"
        />
        <Stat label="Share of the roof" value={share} hint={boundBy(roof)} />
      </dl>
      <Check />
    </>
  );
}

function boundBy(roof: number | undefined): string {
  if (roof !== undefined) {
    return `bound by ${roof === ceilings.value?.flopsPerSecond ? 'arithmetic' : 'memory'}`;
  }
  return ceilings.value && sample.value ? 'this device has no probe' : 'once measured';
}

/** The loop is only worth its figures if what it computes is right. */
function Check() {
  const check = sample.value?.check;
  if (check === undefined) return null;
  const { comparison, request, heads } = check;
  return (
    <p class="check" id="loop-check">
      <span class={comparison.pass ? 'good' : 'bad'}>{comparison.pass ? '✓' : '✗'}</span> Step 1,
      request {request}, {heads.length > 1 ? `heads ${heads.join(' and ')}` : 'head 0'}: off by at
      most <span class="nowrap">{scientific(comparison.maxAbsolute)}</span> from the float64
      reference, {comparison.pass ? 'within' : 'beyond'} FlashMLA’s own bounds.
    </p>
  );
}
