import { Fragment } from 'preact';
import type { Detection, Limit } from '../engine/detect.ts';
import { Scroll } from '../widgets/scroll.tsx';

/** Limits in the order in which kernels meet them; the others follow by name. */
const first = [
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupsPerDimension',
];

/** A name that may go on in the next line where a word of it begins. */
function inWords(name: string) {
  return name.split(/(?=[A-Z])/).map((word) => (
    <Fragment key={word}>
      <wbr />
      {word}
    </Fragment>
  ));
}

/** What the browser says about itself and its GPU: for looking things up. */
export function Adapter({ detection }: { readonly detection: Detection }) {
  const { limits, features, crossOriginIsolated, hardwareThreads } = detection;
  const rank = ({ name }: Limit) => (first.includes(name) ? first.indexOf(name) : first.length);
  const sorted = [...limits].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
  return (
    <details class="adapter">
      <summary>
        What the browser says: {limits.length} limits, {features.length} features
      </summary>
      <p>
        {crossOriginIsolated
          ? `The page is cross-origin isolated, so its ${hardwareThreads} threads can share memory.`
          : 'The page is not cross-origin isolated, so threads cannot share memory and there is only one. Its server must send Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp.'}
      </p>
      {features.length > 0 && (
        <ul class="features" aria-label="Features of the WebGPU adapter">
          {features.map((feature) => (
            <li key={feature}>{feature}</li>
          ))}
        </ul>
      )}
      {sorted.length > 0 && (
        <Scroll label="Limits of the WebGPU adapter">
          <table>
            <thead>
              <tr>
                <th scope="col">Limit</th>
                <th scope="col">Adapter</th>
                <th scope="col">Every device</th>
              </tr>
            </thead>
            <tbody>
              {sorted.map(({ name, adapter, guaranteed }) => (
                <tr key={name} class={adapter > guaranteed ? 'more' : ''}>
                  <th scope="row">
                    <code>{inWords(name)}</code>
                  </th>
                  <td>{adapter.toLocaleString('en')}</td>
                  <td>{Number.isNaN(guaranteed) ? '–' : guaranteed.toLocaleString('en')}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </details>
  );
}
