import { useEffect, useRef } from 'preact/hooks';
import type { LoopSample } from '../engine/decode/settings.ts';
import { count } from '../widgets/format.ts';
import { useWidth } from '../widgets/use-width.ts';
import { sample } from './loop-state.ts';

/** Every page of the cache, coloured by the request that owns it; newest pages fill from below. */
export function PageMap() {
  const [ref, width] = useWidth();
  const now = sample.value;
  if (now === undefined) return null;
  const used = now.owners.filter((owner) => owner >= 0).length;
  const words =
    now.owners.length === 0
      ? 'Too many pages to draw'
      : `${count(used, 'page')} of ${now.owners.length.toLocaleString('en')} in use by ${count(now.lengths.length, 'request')}`;
  return (
    <figure class="pages">
      <figcaption>
        The cache: {words}
        {now.finished > 0 && `, ${count(now.finished, 'request')} served to the end`}
      </figcaption>
      <div ref={ref}>
        {width > 0 && now.owners.length > 0 && <Canvas width={width} now={now} words={words} />}
      </div>
    </figure>
  );
}

interface CanvasProps {
  readonly width: number;
  readonly now: LoopSample;
  readonly words: string;
}

function Canvas({ width, now, words }: CanvasProps) {
  const ref = useRef<HTMLCanvasElement>(null);
  const { size, columns, height } = grid(width, now.owners.length);
  useEffect(() => {
    if (ref.current) draw(ref.current, now, { size, columns, width, height });
  });
  return <canvas ref={ref} role="img" aria-label={`Map of the pages: ${words}`} />;
}

/** The largest square cells of 4 to 22 pixels with which all pages fit about 150 pixels of height. */
function grid(width: number, pages: number) {
  let size = 22;
  while (size > 4 && Math.ceil(pages / Math.floor(width / size)) * size > 150) size--;
  const columns = Math.floor(width / size);
  return { size, columns, height: Math.ceil(pages / columns) * size };
}

interface Grid {
  readonly size: number;
  readonly columns: number;
  readonly width: number;
  readonly height: number;
}

function draw(canvas: HTMLCanvasElement, now: LoopSample, { size, columns, width, height }: Grid) {
  const scale = devicePixelRatio;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext('2d');
  if (context === null) return;
  context.scale(scale, scale);
  const gap = size > 8 ? 2 : 1;
  const cell = size - gap;
  const newest = new Map(now.newest.map(({ block, tokens }) => [block, tokens]));
  now.owners.forEach((owner, block) => {
    const [x, y] = [(block % columns) * size, Math.floor(block / columns) * size];
    context.fillStyle = 'rgb(128 128 128 / 0.18)';
    context.fillRect(x, y, cell, cell);
    if (owner < 0) return;
    const filled = newest.has(block) ? (newest.get(block) ?? 0) / now.page : 1;
    // The golden angle keeps neighbours apart, however many there are.
    context.fillStyle = `hsl(${(owner * 137.5 + 205) % 360} 62% 52%)`;
    context.fillRect(x, y + cell * (1 - filled), cell, cell * filled);
  });
}
