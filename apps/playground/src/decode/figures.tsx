import { ceilings } from '../state.ts';
import { digits, milliseconds, scientific, si } from '../widgets/format.ts';
import { Stat } from '../widgets/stat.tsx';
import { point, sample } from './loop-state.ts';
import { roofAt } from './roofs.ts';

export function Figures() {
  const [now, at] = [sample.value, point.value];
  const roof = at && roofAt(ceilings.value, at.intensity);
  const share = at && roof !== undefined ? `${digits((100 * at.flopsPerSecond) / roof)} %` : '–';
  const clock = now?.isDeviceTime ? 'by the device’s clock' : 'wall time';
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
        <Stat label="Step" value={now ? milliseconds(now.stepMs) : '–'} hint="median, all in" />
        <Stat
          label="Attention"
          value={now ? milliseconds(now.kernelMs) : '–'}
          hint={now && clock}
        />
        <Stat label="Arithmetic" value={at ? si(at.flopsPerSecond) : '–'} unit="FLOP/s" />
        <Stat label="Cache read" value={at ? si(at.bytesPerSecond) : '–'} unit="B/s" />
        <Stat label="Of the roof" value={share} hint="above that intensity" />
      </dl>
      <Check />
    </>
  );
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
      most {scientific(comparison.maxAbsolute)} from the float64 reference (allowed:{' '}
      {scientific(comparison.tolerance.absolute)}).
    </p>
  );
}
