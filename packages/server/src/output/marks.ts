import type { ServedTokenizer } from '../model/served-model.ts';

const thoughts = ['<think>', '</think>'];
/** Marks of calls that some family has as special tokens. */
const calls = [
  '<｜tool▁calls▁begin｜>',
  '<｜tool▁calls▁end｜>',
  '<｜tool▁call▁begin｜>',
  '<｜tool▁call▁end｜>',
  '<｜tool▁sep｜>',
  '｜DSML｜',
  '<|tool_calls_section_begin|>',
  '<|tool_calls_section_end|>',
  '<|tool_call_begin|>',
  '<|tool_call_end|>',
  '<|tool_call_argument_begin|>',
  '<tool_call>',
  '</tool_call>',
  '<arg_key>',
  '</arg_key>',
  '<arg_value>',
  '</arg_value>',
];

/** The special tokens that a parser has to see. Without tools, marks of calls vanish like other ones. */
export function markTokens(tokenizer: ServedTokenizer, hasTools: boolean): ReadonlySet<number> {
  const marks = hasTools ? [...thoughts, ...calls] : thoughts;
  return new Set(marks.flatMap((mark) => tokenizer.idOf(mark) ?? []));
}
