import { ApiError, badRequest } from '../errors.ts';
import { callGrammar } from '../grammar/call-grammar.ts';
import type { ServedModel } from '../model/served-model.ts';
import { parserFor } from '../output/families.ts';
import { markTokens } from '../output/marks.ts';
import type { OutputParser } from '../output/parts.ts';
import type { ReasoningMode } from '../output/reasoning-parser.ts';
import { SingleCall } from '../output/single-call.ts';
import type { Conversation, ToolDefinition } from './conversation.ts';
import { encodeText } from './encode-text.ts';
import type { GrammarSpec } from './request.ts';

/** What a conversation makes of a request: its prompt, and how its answer is read. */
export interface ChatRequest {
  readonly prompt: readonly number[];
  readonly parser: () => OutputParser;
  readonly keepTokens: ReadonlySet<number>;
  readonly grammar?: GrammarSpec;
  readonly grammarAfter?: number;
}

/** @throws ApiError 400 for what the model or its template cannot take. */
export async function prepareChat(
  model: ServedModel,
  conversation: Conversation,
): Promise<ChatRequest> {
  const { chat, tokenizer } = model;
  if (chat === undefined)
    throw new ApiError('This model has no chat template: it only continues text.', {
      status: 400,
      code: 'unsupported_endpoint',
    });
  const tools = offeredTools(conversation);
  const text = render(model, conversation, tools);
  const prompt = await encodeText(tokenizer, text, { addSpecialTokens: false });
  const reasoning = reasoningAfter(text);
  const types = new Map(
    tools.map(({ function: { name, parameters } }) => [name, parameters ?? {}]),
  );
  const options = { reasoning, tools: tools.length > 0 ? types : undefined };
  const parser = () => {
    const whole = parserFor(chat.family, options);
    return conversation.parallelCalls ? whole : new SingleCall(whole);
  };
  const keepTokens = markTokens(tokenizer, tools.length > 0);
  const grammar = grammarOf(model, conversation, tools);
  const grammarAfter = reasoning === 'inside' ? tokenizer.idOf('</think>') : undefined;
  return {
    prompt,
    parser,
    keepTokens,
    ...(grammar && { grammar }),
    ...(grammar && grammarAfter !== undefined && { grammarAfter }),
  };
}

function offeredTools({ toolChoice, tools }: Conversation): readonly ToolDefinition[] {
  if (toolChoice.kind === 'none') return [];
  if (toolChoice.kind === 'auto') return tools;
  if (tools.length === 0) throw badRequest('tool_choice needs tools.', 'tool_choice');
  if (toolChoice.kind !== 'named') return tools;
  const named = tools.filter(({ function: { name } }) => name === toolChoice.name);
  if (named.length > 0) return tools;
  throw badRequest(
    `tool_choice: there is no tool ${JSON.stringify(toolChoice.name)}.`,
    'tool_choice',
  );
}

function render({ chat }: ServedModel, it: Conversation, tools: readonly ToolDefinition[]): string {
  const { addGenerationPrompt, messages, thinking, variables } = it;
  const own = thinking && {
    thinking: thinking.enabled,
    enable_thinking: thinking.enabled,
    ...(thinking.effort !== undefined && { reasoning_effort: thinking.effort }),
  };
  try {
    return (
      chat?.render(messages, {
        addGenerationPrompt,
        variables: { ...own, ...variables },
        ...(tools.length > 0 && { tools }),
      }) ?? ''
    );
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw badRequest(`The model's chat template refuses the messages: ${reason}`, 'messages');
  }
}

/** The prompt tells whether the answer begins with thoughts, has had them, or may have some. */
function reasoningAfter(prompt: string): ReasoningMode {
  const end = prompt.trimEnd();
  if (end.endsWith('<think>')) return 'inside';
  return end.endsWith('</think>') ? 'off' : 'detect';
}

function grammarOf(
  { chat }: ServedModel,
  { format, parallelCalls, toolChoice, tools: all }: Conversation,
  tools: readonly ToolDefinition[],
): GrammarSpec | undefined {
  if (format.kind !== 'text' && tools.length > 0)
    throw badRequest('response_format and tools cannot be used together.', 'response_format');
  if (format.kind === 'json')
    return { kind: 'json-schema', source: '{"type":"object","additionalProperties":true}' };
  if (format.kind === 'schema')
    return { kind: 'json-schema', source: JSON.stringify(format.schema) };
  if (chat === undefined || tools.length === 0) return undefined;
  const isForced = toolChoice.kind === 'required' || toolChoice.kind === 'named';
  const isStrict = all.some(({ function: { strict } }) => strict === true);
  if (!isForced && !isStrict) return undefined;
  const allowed =
    toolChoice.kind === 'named'
      ? tools.filter(({ function: { name } }) => name === toolChoice.name)
      : tools;
  const isParallel = parallelCalls && toolChoice.kind !== 'named';
  return callGrammar(chat.family, { tools: allowed, isForced, isParallel });
}
