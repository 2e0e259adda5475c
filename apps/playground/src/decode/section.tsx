import { Controls } from './controls.tsx';
import { Figures } from './figures.tsx';
import { PageMap } from './page-map.tsx';
import { Roofline } from './roofline.tsx';
import { Trend } from './trend.tsx';

/** The paged decode loop: sliders, what comes of them, and where that stands under the roofs. */
export function DecodeSection() {
  return (
    <section id="decode" aria-labelledby="decode-title">
      <h2 id="decode-title">Decode loop</h2>
      <p class="lead">
        One layer’s attention of a model that serves several requests at once. Every step appends a
        token to each request’s pages and attends to what came before. Requests that end give their
        pages back and others take their place.
      </p>
      <div class="split wide-right">
        <Controls />
        <div class="measured">
          <Figures />
          <Trend />
          <Roofline />
          <PageMap />
        </div>
      </div>
    </section>
  );
}
