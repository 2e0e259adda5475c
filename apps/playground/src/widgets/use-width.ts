import { useCallback, useRef, useState } from 'preact/hooks';

/** The width of an element in CSS pixels, followed as it changes; 0 before it is known. */
export function useWidth(): readonly [ref: (element: Element | null) => void, width: number] {
  const [width, setWidth] = useState(0);
  const observer = useRef<ResizeObserver | undefined>(undefined);
  const ref = useCallback((element: Element | null) => {
    observer.current?.disconnect();
    if (element === null) return;
    observer.current = new ResizeObserver(([entry]) => {
      if (entry) setWidth(Math.floor(entry.contentRect.width));
    });
    observer.current.observe(element);
  }, []);
  return [ref, width];
}
