import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CheckpointError, ModelConfigError, ModelNotFoundError } from '../errors.ts';
import { loadModel } from '../generation/load-model.ts';
import { talesFolder } from '../testing/data.ts';
import { filesFrom } from './files-from.ts';
import * as browser from './find-model/browser.ts';

const bytesOf = (file: string) => new Uint8Array(readFileSync(`${talesFolder}/${file}`));

describe('files that a program gives', () => {
  it('make a model: blobs, bytes and addresses', async () => {
    const address = `data:application/json;base64,${Buffer.from(bytesOf('config.json')).toString('base64')}`;
    const files = filesFrom('given', {
      'config.json': new URL(address),
      'tokenizer.json': new Blob([bytesOf('tokenizer.json')]),
      'tokenizer_config.json': new Blob([bytesOf('tokenizer_config.json')]),
      'chat_template.jinja': bytesOf('chat_template.jinja').slice().buffer,
      'model.safetensors': bytesOf('model.safetensors'),
    });
    expect(await files.text('generation_config.json')).toBeUndefined();
    expect(await files.text('constructor')).toBeUndefined();
    await using model = await loadModel(files, { maxTokens: 128 });
    expect(model.name).toBe('given');
    let text = '';
    const prompt = { messages: [{ role: 'user', content: 'Tell me a tale with a duck.' }] };
    for await (const piece of model.generate(prompt, { maxTokens: 4 })) text += piece.text;
    expect(text).toBe('Once upon a time');
  });

  it('are named where they are missing or cannot be fetched', async () => {
    await expect(loadModel(filesFrom('empty', {}))).rejects.toThrow(ModelConfigError);
    await expect(loadModel(filesFrom('empty', {}))).rejects.toThrow(/^empty\/config\.json: /);
    const gone = filesFrom('gone', { 'config.json': new URL('data:') });
    await expect(loadModel(gone)).rejects.toThrow(CheckpointError);
    const config = bytesOf('config.json');
    const noWeights = { 'config.json': config, 'tokenizer.json': bytesOf('tokenizer.json') };
    await expect(loadModel(filesFrom('bare', noWeights))).rejects.toThrow(
      /bare\/model\.safetensors/,
    );
  });

  it('are the only ones in a browser', async () => {
    await expect(browser.findModel('@flash-mla/tales')).rejects.toThrow(ModelNotFoundError);
    expect(() => browser.filesIn('/models/tales')).toThrow(/filesFrom\(\)/);
  });
});
