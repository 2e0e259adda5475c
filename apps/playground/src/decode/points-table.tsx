import { digits, si } from '../widgets/format.ts';
import { Scroll } from '../widgets/scroll.tsx';
import type { Point } from './loop-state.ts';

/** The plot for those who cannot see it, or want the numbers. */
export function PointsTable({ points }: { readonly points: readonly Point[] }) {
  return (
    <details>
      <summary>The points as a table</summary>
      <Scroll label="Points of the roofline">
        <table>
          <thead>
            <tr>
              {['Rows', 'Requests', 'Heads', 'Prompt', 'FLOP/B', 'FLOP/s', 'B/s', 'Tokens/s'].map(
                (title) => (
                  <th key={title} scope="col">
                    {title}
                  </th>
                ),
              )}
            </tr>
          </thead>
          <tbody>
            {points.map(({ settings, ...at }) => (
              <tr key={JSON.stringify(settings)}>
                <th scope="row">{settings.layout}</th>
                <td>{settings.batch}</td>
                <td>{settings.heads}</td>
                <td>{settings.tokens}</td>
                <td>{digits(at.intensity)}</td>
                <td>{si(at.flopsPerSecond)}</td>
                <td>{si(at.bytesPerSecond)}</td>
                <td>{digits(at.tokensPerSecond)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </details>
  );
}
