import chatTemplate from '@flash-mla/tales/chat_template.jinja?url';
import config from '@flash-mla/tales/config.json?url';
import generationConfig from '@flash-mla/tales/generation_config.json?url';
import weights from '@flash-mla/tales/model.safetensors?url';
import tokenizer from '@flash-mla/tales/tokenizer.json?url';
import tokenizerConfig from '@flash-mla/tales/tokenizer_config.json?url';
import type { ModelFiles } from 'flash-mla/models';

/** Where the files of the demo model lie, beside the page. */
const addresses: Readonly<Record<string, string>> = {
  'chat_template.jinja': chatTemplate,
  'config.json': config,
  'generation_config.json': generationConfig,
  'model.safetensors': weights,
  'tokenizer.json': tokenizer,
  'tokenizer_config.json': tokenizerConfig,
};

/** The demo model, fetched from beside the page as it is read. */
export async function demoModel(): Promise<ModelFiles> {
  const { filesFrom } = await import('flash-mla/models');
  // The development server names files by paths only.
  const absolute = Object.entries(addresses).map(
    ([file, address]) => [file, new URL(address, globalThis.location.href)] as const,
  );
  return filesFrom('@flash-mla/tales', Object.fromEntries(absolute));
}
