import type { GenerationEnd } from '@flash-mla/models';
import { significant } from '../../ops/bench/numbers.ts';
import type { CommandContext } from '../context.ts';
import { demoModel } from '../models/options.ts';
import { printableLines } from '../terminal/printable.ts';

const content = 'Please tell me a tale with a duck and a torn book.';

/** Lets the demo model tell a tale, token by token. Says how to get the model where it is not installed. */
export async function tellTale(context: CommandContext): Promise<void> {
  const { loadModel, ModelNotFoundError } = await import('../../models/index.ts');
  const { dim, bold } = context.colors;
  const model = await loadModel(demoModel, { maxTokens: 512, signal: context.signal }).catch(
    (error: unknown) => {
      if (error instanceof ModelNotFoundError) return undefined;
      throw error;
    },
  );
  if (model === undefined) {
    context.write(
      dim(`\nfor a tale: the package ${demoModel}, as README.md says, then flash-mla chat\n`),
    );
    return;
  }
  context.onExit(() => model.dispose());
  context.write(`\n${bold(content)}\n`);
  let ended: GenerationEnd | undefined;
  const options = { maxTokens: 160, signal: context.signal };
  for await (const { text, end } of model.generate(
    { messages: [{ role: 'user', content }] },
    options,
  )) {
    context.write(printableLines(text));
    ended = end;
  }
  const { outputTokens = 0, firstTokenMs = 0, restMs = 0 } = ended ?? {};
  const speed = significant(outputTokens / ((firstTokenMs + restMs) / 1000));
  const tail = `${demoModel}, bf16 on the processor: ${outputTokens} tokens, ${speed} tokens/s`;
  context.write(`\n${dim(tail)}\n`);
}
