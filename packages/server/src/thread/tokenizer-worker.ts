import { parentPort, workerData } from 'node:worker_threads';
import { readServedModel } from '../model/checkpoint-model.ts';
import type { TokenizerCall, TokenizerReply } from './tokenizer-thread.ts';

// The script of the thread that cuts long texts into tokens.

const port = parentPort;
if (port === null) throw new Error('this file is the script of a worker');
const { tokenizer } = await readServedModel(String(workerData));

port.on('message', ({ addSpecialTokens, call, text }: TokenizerCall) => {
  let reply: TokenizerReply;
  try {
    reply = { call, tokens: Int32Array.from(tokenizer.encode(text, { addSpecialTokens })) };
  } catch (error) {
    reply = { call, error: error instanceof Error ? error.message : String(error) };
  }
  port.postMessage(reply);
});
