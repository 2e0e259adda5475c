import { beforeAll, describe, expect, it } from 'vitest';
import { messagesFields } from '../anthropic/fields.ts';
import { chatFields } from '../openai/chat-fields.ts';
import { completionFields } from '../openai/completion-fields.ts';
import { responsesFields } from '../openai/responses-fields.ts';
import { type Served, serve } from '../testing/serve.ts';

// Every field that the APIs know, in one of three classes: carried out, ignored and named in a header, or refused.

let served: Served;
let strict: Served;
beforeAll(async () => {
  served = await serve();
  strict = await serve({ strictParams: true });
});

const messages = [{ role: 'user', content: 'say:x' }];
const tool = { type: 'function', function: { name: 'f' } };

interface Classes {
  /** What the request needs in any case. */
  readonly base: Readonly<Record<string, unknown>>;
  /** A value of each field, with what else it needs beside it. */
  readonly done: Readonly<Record<string, unknown>>;
  readonly beside?: Readonly<Record<string, object>>;
  readonly ignored: readonly string[];
  readonly refused: readonly string[];
}

const sampling = {
  temperature: 0,
  top_p: 0.9,
  seed: 7,
  top_k: 5,
  min_p: 0.1,
  repetition_penalty: 1.1,
  min_tokens: 1,
  stop_token_ids: [257],
  allowed_token_ids: [120, 257],
  include_stop_str_in_output: true,
  ignore_eos: false,
  skip_special_tokens: false,
  priority: 3,
  cache_salt: 'salt',
};
const penalties = {
  n: 2,
  stop: ['y'],
  presence_penalty: 0.5,
  frequency_penalty: 0.5,
  logit_bias: { 120: 1 },
};

/** OpenAI's `CreateChatCompletionRequest`, `CreateCompletionRequest` and `CreateResponse`, Anthropic's `MessageCreateParams`, and what vLLM takes besides. */
const routes: Record<string, Classes> = {
  '/v1/chat/completions': {
    base: { model: 'bytes', messages, max_tokens: 4 },
    done: {
      ...{ model: 'bytes', messages, max_tokens: 3, max_completion_tokens: 3 },
      ...sampling,
      ...penalties,
      logprobs: true,
      top_logprobs: 2,
      stream: true,
      stream_options: { include_usage: true },
      response_format: { type: 'text' },
      tools: [tool],
      tool_choice: 'auto',
      parallel_tool_calls: false,
      reasoning_effort: 'low',
      include_reasoning: false,
      chat_template_kwargs: { thinking: true },
      add_generation_prompt: true,
      add_special_tokens: false,
      modalities: ['text'],
    },
    beside: {
      top_logprobs: { logprobs: true },
      tool_choice: { tools: [tool] },
      stream_options: { stream: true },
    },
    ignored: [
      ...['metadata', 'moderation', 'prediction', 'prompt_cache_key', 'prompt_cache_options'],
      ...['prompt_cache_retention', 'safety_identifier', 'service_tier', 'store', 'user'],
      ...['verbosity', 'request_id', 'session_id', 'spaces_between_special_tokens', 'never_heard'],
    ],
    refused: [
      ...['audio', 'web_search_options', 'functions', 'function_call', 'bad_words', 'documents'],
      ...['prompt_logprobs', 'logprob_token_ids', 'truncate_prompt_tokens', 'echo'],
      ...['continue_final_message', 'chat_template', 'structured_outputs', 'return_token_ids'],
      ...['thinking_token_budget', 'kv_transfer_params', 'use_beam_search'],
    ],
  },
  '/v1/completions': {
    base: { model: 'bytes', prompt: 'x', max_tokens: 4 },
    done: {
      ...{ model: 'bytes', prompt: 'x', max_tokens: 3 },
      ...sampling,
      ...penalties,
      best_of: 1,
      echo: true,
      logprobs: 2,
      stream: true,
      stream_options: { include_usage: true },
      add_special_tokens: false,
      response_format: { type: 'text' },
    },
    beside: { stream_options: { stream: true } },
    ignored: [
      ...['user', 'metadata', 'store', 'service_tier', 'request_id', 'session_id'],
      ...['spaces_between_special_tokens', 'never_heard'],
    ],
    refused: [
      ...['suffix', 'bad_words', 'prompt_logprobs', 'prompt_embeds', 'truncate_prompt_tokens'],
      ...['structured_outputs', 'kv_transfer_params', 'return_token_ids', 'use_beam_search'],
    ],
  },
  '/v1/responses': {
    base: { model: 'bytes', input: 'say:x', max_output_tokens: 4 },
    done: {
      ...{ model: 'bytes', input: 'say:x', max_output_tokens: 3 },
      ...sampling,
      instructions: 'Be brief.',
      stream: true,
      tools: [{ type: 'function', name: 'f' }],
      tool_choice: 'auto',
      parallel_tool_calls: false,
      reasoning: { effort: 'low' },
      text: { format: { type: 'text' } },
      store: false,
      background: false,
      truncation: 'disabled',
    },
    ignored: [
      ...['context_management', 'include', 'max_tool_calls', 'metadata', 'moderation'],
      ...['prompt_cache_key', 'prompt_cache_options', 'prompt_cache_retention', 'never_heard'],
      ...['safety_identifier', 'service_tier', 'stream_options', 'user'],
    ],
    refused: ['previous_response_id', 'conversation', 'prompt', 'top_logprobs'],
  },
  '/v1/messages': {
    base: { model: 'bytes', messages, max_tokens: 4 },
    done: {
      ...{ model: 'bytes', messages, max_tokens: 3, temperature: 0, top_p: 0.9, top_k: 5 },
      stop_sequences: ['y'],
      stream: true,
      system: 'Be brief.',
      tools: [{ name: 'f', input_schema: {} }],
      tool_choice: { type: 'auto' },
      thinking: { type: 'disabled' },
    },
    beside: { tool_choice: { tools: [{ name: 'f', input_schema: {} }] } },
    ignored: [
      ...['betas', 'cache_control', 'context_management', 'diagnostics', 'inference_geo'],
      ...['metadata', 'service_tier', 'speed', 'user_profile_id', 'workspace_id', 'never_heard'],
    ],
    refused: ['mcp_servers', 'container', 'output_format', 'output_config'],
  },
};
const policies = {
  '/v1/chat/completions': chatFields,
  '/v1/completions': completionFields,
  '/v1/responses': responsesFields,
  '/v1/messages': messagesFields,
};

/** The status, the header and the field of an error. */
async function answerOf(to: Served, path: string, body: object) {
  const response = await to.post(path, body);
  const text = await response.text();
  const ignored = response.headers.get('x-ignored-params')?.split(', ') ?? [];
  const param: unknown = response.ok ? undefined : JSON.parse(text).error.param;
  return { status: response.status, ignored, param, text };
}

describe.each(Object.entries(routes))(
  '%s',
  (path, { base, beside = {}, done, ignored, refused }) => {
    it('carries out', async () => {
      for (const [field, value] of Object.entries(done)) {
        const body = { ...base, ...beside[field], [field]: value };
        const { ignored: named, status, text } = await answerOf(strict, path, body);
        expect({ field, status, named, text: status === 200 ? '' : text }).toEqual({
          ...{ field, named: [], text: '' },
          status: 200,
        });
      }
    });

    it('ignores, names, and refuses where that is asked for', async () => {
      for (const field of ignored) {
        const body = { ...base, [field]: 'x' };
        const loose = await answerOf(served, path, body);
        expect({ field, ...loose }).toMatchObject({ status: 200, ignored: [field] });
        expect(await answerOf(served, path, { ...base, [field]: null })).toMatchObject({
          ...{ status: 200, ignored: [] },
        });
        const refusal = await answerOf(strict, path, body);
        expect({ field, ...refusal }).toMatchObject({ status: 400 });
      }
    });

    it('refuses', async () => {
      for (const field of refused) {
        const answer = await answerOf(served, path, { ...base, [field]: 'x' });
        expect({ field, ...answer }).toMatchObject({ status: 400 });
        // Anthropic's errors name no field but in their text.
        if (path === '/v1/messages') expect(answer.text).toContain(field);
        else expect(answer.param).toBe(field);
      }
    });

    it('has no field that is missing above, and none in two classes', () => {
      const policy = policies[path as keyof typeof policies];
      const known = [Object.keys(policy.schema.shape), policy.ignored, Object.keys(policy.refused)];
      expect(known.map((names) => [...names].sort())).toEqual([
        Object.keys(done).sort(),
        ignored.filter((field) => field !== 'never_heard').sort(),
        [...refused].sort(),
      ]);
      expect(new Set(known.flat()).size).toBe(known.flat().length);
    });
  },
);

describe('what options do not know', () => {
  it.each<[string, object, string]>([
    [
      '/v1/chat/completions',
      { stream_options: { include_obfuscation: true } },
      'stream_options.include_obfuscation',
    ],
    [
      '/v1/chat/completions',
      { response_format: { type: 'text', more: 1 } },
      'response_format.more',
    ],
    ['/v1/responses', { reasoning: { effort: 'low', summary: 'auto' } }, 'reasoning.summary'],
    ['/v1/responses', { text: { verbosity: 'low' } }, 'text.verbosity'],
    [
      '/v1/messages',
      { thinking: { type: 'enabled', budget_tokens: 1024 } },
      'thinking.budget_tokens',
    ],
  ])('at %s is named: %j', async (path, more, field) => {
    const body = { ...routes[path]?.base, ...more };
    expect(await answerOf(served, path, body)).toMatchObject({ status: 200, ignored: [field] });
    expect((await answerOf(strict, path, body)).status).toBe(400);
  });
});

describe('values that would change the answer, and that nobody could carry out', () => {
  it.each<[string, object]>([
    ['/v1/chat/completions', { modalities: ['text', 'audio'] }],
    ['/v1/chat/completions', { add_special_tokens: true }],
    ['/v1/chat/completions', { response_format: { type: 'structural_tag' } }],
    ['/v1/chat/completions', { tools: [{ type: 'custom', custom: { name: 'f' } }] }],
    ['/v1/chat/completions', { tool_choice: { type: 'allowed_tools' }, tools: [tool] }],
    ['/v1/chat/completions', { top_logprobs: 2 }],
    ['/v1/completions', { best_of: 3 }],
    ['/v1/completions', { echo: true, logprobs: 1 }],
    ['/v1/responses', { store: true }],
    ['/v1/responses', { background: true }],
    ['/v1/responses', { truncation: 'auto' }],
    ['/v1/responses', { tools: [{ type: 'web_search' }] }],
    ['/v1/messages', { tools: [{ type: 'bash_20250124', name: 'bash' }] }],
  ])('are refused at %s: %j', async (path, more) => {
    expect((await answerOf(served, path, { ...routes[path]?.base, ...more })).status).toBe(400);
  });
});
