// Cuts what the tests need out of published schemas: `node scripts/cut-schemas.mjs openai openapi.json` with the
// document of https://github.com/openai/openai-openapi, and `… anthropic schema.json` with the JSON Schema of the types
// of @anthropic-ai/sdk. src/testing/published/README.md says how to get both.
import { readFileSync, writeFileSync } from 'node:fs';

/** What answers are checked with, and of long unions the members that this server writes. */
const cuts = {
  openai: {
    from: (document) => document.components.schemas,
    roots: [
      ...['CreateChatCompletionResponse', 'CreateChatCompletionStreamResponse'],
      ...['CreateCompletionResponse', 'ListModelsResponse', 'Model', 'ErrorResponse'],
      ...['Response', 'ResponseStreamEvent'],
    ],
    members: {
      OutputItem: ['OutputMessage', 'FunctionToolCall', 'ReasoningItem'],
      Tool: ['FunctionTool'],
      ToolChoiceParam: ['ToolChoiceOptions', 'ToolChoiceFunction'],
      ResponseStreamEvent: [
        ...['ResponseCreatedEvent', 'ResponseInProgressEvent', 'ResponseCompletedEvent'],
        ...['ResponseIncompleteEvent', 'ResponseFailedEvent', 'ResponseErrorEvent'],
        ...['ResponseOutputItemAddedEvent', 'ResponseOutputItemDoneEvent'],
        ...['ResponseContentPartAddedEvent', 'ResponseContentPartDoneEvent'],
        ...['ResponseTextDeltaEvent', 'ResponseTextDoneEvent'],
        ...['ResponseReasoningTextDeltaEvent', 'ResponseReasoningTextDoneEvent'],
        ...['ResponseFunctionCallArgumentsDeltaEvent', 'ResponseFunctionCallArgumentsDoneEvent'],
      ],
    },
    /** Lead to input that no answer here repeats, and to services that this server does not have. */
    without: ['InputItem', 'Prompt', 'Moderation', 'ChatCompletionModeration', 'Annotation'],
  },
  anthropic: {
    from: (document) => document.definitions,
    roots: ['Message', 'RawMessageStreamEvent', 'MessageTokensCount', 'ErrorResponse'],
    members: {
      ContentBlock: ['TextBlock', 'ThinkingBlock', 'ToolUseBlock'],
      RawContentBlockStartEvent: ['TextBlock', 'ThinkingBlock', 'ToolUseBlock'],
      RawContentBlockDelta: ['TextDelta', 'InputJSONDelta', 'ThinkingDelta'],
    },
    without: ['TextCitation', 'CacheMissReason', 'ContainerSkill'],
  },
};

const [name = '', file = ''] = process.argv.slice(2);
const { from, members, roots, without } = cuts[name];
const all = from(JSON.parse(readFileSync(file, 'utf8')));
const nameOf = ({ $ref }) => $ref?.split('/').at(-1);
const refers = (branch) => nameOf(branch) ?? nameOf(branch.items ?? {});
const prose = new Set(['description', 'example', 'examples', 'title', 'deprecated', 'summary']);
const kept = {};

/** A schema without prose, without the members of unions that are cut, and with `null` as JSON Schema says it. */
function cut(schema, owner) {
  if (Array.isArray(schema)) return schema.map((item) => cut(item, owner));
  if (typeof schema !== 'object' || schema === null) return schema;
  const { $ref, nullable, ...rest } = schema;
  if ($ref !== undefined) take(nameOf(schema));
  const result = $ref === undefined ? {} : { $ref: `#/$defs/${nameOf(schema)}` };
  for (const [key, value] of Object.entries(rest)) {
    if (prose.has(key) || key.startsWith('x-') || key === 'discriminator') continue;
    // What a property defaults to is no part of what it may be.
    if (key === 'default') continue;
    if (key === 'properties')
      result.properties = Object.fromEntries(
        Object.entries(value)
          .filter(([, property]) => !without.includes(refers(property)))
          .map(([property, inner]) => [property, cut(inner, owner)]),
      );
    else if (key === 'oneOf' || key === 'anyOf') {
      const all = members[owner];
      const branches = value.filter((branch) => !without.includes(refers(branch)));
      const some = branches.filter((branch) => all?.includes(nameOf(branch)));
      result[key] = cut(some.length > 0 ? some : branches, owner);
    } else if (key === 'items' && without.includes(nameOf(value))) result.items = {};
    else result[key] = cut(value, owner);
  }
  return nullable ? { anyOf: [result, { type: 'null' }] } : result;
}

function take(schema) {
  if (schema in kept) return;
  kept[schema] = undefined;
  kept[schema] = cut(all[schema], schema);
}

for (const root of roots) take(root);
const sorted = Object.fromEntries(Object.entries(kept).sort(([a], [b]) => (a < b ? -1 : 1)));
const target = new URL(`../src/testing/published/${name}.json`, import.meta.url);
writeFileSync(target, `${JSON.stringify({ $defs: sorted }, undefined, 2)}\n`);
