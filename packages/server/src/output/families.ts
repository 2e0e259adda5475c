import type { OutputFamily } from '../model/served-model.ts';
import { type JsonCallFormat, JsonCallParser } from './json-call-parser.ts';
import { type OutputParser, PlainText } from './parts.ts';
import { type ReasoningMode, ReasoningParser } from './reasoning-parser.ts';
import { TaggedCallParser } from './tagged-call-parser.ts';
import { dsmlCalls, glmCalls, type ToolTypes } from './tagged-formats.ts';

const deepSeek = {
  sectionBegin: '<｜tool▁calls▁begin｜>',
  sectionEnd: '<｜tool▁calls▁end｜>',
  callBegin: '<｜tool▁call▁begin｜>',
} as const;

/** The families whose calls have JSON arguments. */
export const jsonCallFormats: Partial<Record<OutputFamily, JsonCallFormat>> = {
  // `function`, a separator, the name, and the arguments in a fence.
  'deepseek-v3': {
    ...deepSeek,
    headerEnd: '\n```json\n',
    callEnd: '\n```<｜tool▁call▁end｜>',
    readHeader: (header) => ({
      name: header.slice(header.indexOf('<｜tool▁sep｜>') + '<｜tool▁sep｜>'.length).trim(),
    }),
    writeHeader: (name) => `function<｜tool▁sep｜>${name}`,
  },
  'deepseek-v3.1': {
    ...deepSeek,
    headerEnd: '<｜tool▁sep｜>',
    callEnd: '<｜tool▁call▁end｜>',
    readHeader: (header) => ({ name: header.trim() }),
    writeHeader: (name) => name,
  },
  // The header, `functions.NAME:INDEX`, is the call's id too. Names may contain dots.
  'kimi-k2': {
    sectionBegin: '<|tool_calls_section_begin|>',
    sectionEnd: '<|tool_calls_section_end|>',
    callBegin: '<|tool_call_begin|>',
    headerEnd: '<|tool_call_argument_begin|>',
    callEnd: '<|tool_call_end|>',
    readHeader: (header) => {
      const id = header.trim();
      const name = id.replace(/^functions\./, '').replace(/:\d+$/, '');
      return { id, name };
    },
    writeHeader: (name) => `functions.${name}:0`,
  },
};

export interface ParserOptions {
  readonly reasoning: ReasoningMode;
  /** The tools that may be called; undefined leaves the marks of calls in the text. */
  readonly tools: ToolTypes | undefined;
}

/** A parser for one answer of a family. */
export function parserFor(family: OutputFamily, { reasoning, tools }: ParserOptions): OutputParser {
  const answer = tools === undefined ? new PlainText() : callParser(family, tools);
  return reasoning === 'off' ? answer : new ReasoningParser(reasoning, answer);
}

function callParser(family: OutputFamily, tools: ToolTypes): OutputParser {
  const format = jsonCallFormats[family];
  if (format !== undefined) return new JsonCallParser(format);
  if (family === 'glm') return new TaggedCallParser(glmCalls(tools));
  return new TaggedCallParser(
    dsmlCalls(family === 'deepseek-v4' ? 'tool_calls' : 'function_calls'),
  );
}
