/** The browser's side of the `#platform` import; see node.ts for what each function promises. */

export async function readAsset(url: URL): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url.href}: HTTP ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

export function hardwareThreads(): number {
  return globalThis.navigator?.hardwareConcurrency ?? 1;
}
