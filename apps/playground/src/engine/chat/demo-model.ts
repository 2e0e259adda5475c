import chatTemplate from '@flash-mla/tales/chat_template.jinja?url';
import config from '@flash-mla/tales/config.json?url';
import generationConfig from '@flash-mla/tales/generation_config.json?url';
import weights from '@flash-mla/tales/model.safetensors?url';
import tokenizer from '@flash-mla/tales/tokenizer.json?url';
import tokenizerConfig from '@flash-mla/tales/tokenizer_config.json?url';
import type { ModelFiles } from 'flash-mla/models';

/** Where its texts lie, beside the page. */
const texts: Readonly<Record<string, string>> = {
  'chat_template.jinja': chatTemplate,
  'config.json': config,
  'generation_config.json': generationConfig,
  'tokenizer.json': tokenizer,
  'tokenizer_config.json': tokenizerConfig,
};

/** The demo model, fetched from beside the page. Its weights are few enough to be held as they are. */
export async function demoModel(signal: AbortSignal): Promise<ModelFiles> {
  const { filesFrom } = await import('flash-mla/models');
  const response = await fetch(weights, { signal });
  if (!response.ok) throw new Error(`${weights}: HTTP ${response.status}`);
  // The development server names files by paths only.
  const addresses = Object.entries(texts).map(
    ([file, address]) => [file, new URL(address, globalThis.location.href)] as const,
  );
  return filesFrom('@flash-mla/tales', {
    ...Object.fromEntries(addresses),
    'model.safetensors': await response.arrayBuffer(),
  });
}
