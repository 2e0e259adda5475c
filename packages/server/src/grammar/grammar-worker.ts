import { parentPort, workerData } from 'node:worker_threads';
import type { GrammarSpec } from '../generate/request.ts';
import type { GrammarCall, GrammarReply } from './messages.ts';
import type { GrammarVocabulary } from './vocabulary.ts';
import { type CompiledGrammar, loadXGrammar, type XGrammarMatcher } from './xgrammar.ts';

// The worker that compiles grammars and computes masks. A grammar that breaks the compiler breaks this
// worker alone: it ends, and another one is started.

const maxCompiled = 64;
/** Blanks between two signs: without a bound a model may write nothing else for ever. */
const maxWhitespace = 8;

const { stopTokens, tokens } = workerData as GrammarVocabulary;
const port = parentPort;
if (port === null) throw new Error('this file is the script of a worker');

const xgrammar = loadXGrammar();
const compiler = (async () => {
  const stops = [...stopTokens];
  const all = [...tokens];
  const info = await xgrammar.TokenizerInfo.createTokenizerInfo(
    all,
    'byte_level',
    false,
    all.length,
    stops,
  );
  return xgrammar.GrammarCompiler.createGrammarCompiler(info, false);
})();

/** The least recently used one first. */
const compiled = new Map<string, CompiledGrammar>();
const matchers = new Map<number, XGrammarMatcher>();

async function compile(spec: GrammarSpec): Promise<CompiledGrammar> {
  const key = `${spec.kind} ${spec.source}`;
  const known = compiled.get(key);
  const grammar = known ?? (await compileAnew(spec));
  compiled.delete(key);
  compiled.set(key, grammar);
  const [oldest] = compiled.keys();
  if (compiled.size > maxCompiled && oldest !== undefined) {
    compiled.get(oldest)?.dispose();
    compiled.delete(oldest);
  }
  return grammar;
}

async function compileAnew({ kind, source }: GrammarSpec): Promise<CompiledGrammar> {
  const it = await compiler;
  if (kind === 'structural-tag')
    return it.compileStructuralTag(JSON.stringify(await boundBlanks(JSON.parse(source))));
  return it.compileJSONSchema(source, true, undefined, undefined, true, maxWhitespace);
}

/** Schemas inside of a structural tag cannot bound their blanks, grammars can. */
async function boundBlanks(value: unknown): Promise<unknown> {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return Promise.all(value.map(boundBlanks));
  if ('json_schema' in value) {
    const schema = JSON.stringify(value.json_schema);
    const grammar = await xgrammar.Grammar.fromJSONSchema(
      schema,
      true,
      undefined,
      undefined,
      true,
      maxWhitespace,
    );
    const text = grammar.toString();
    grammar.dispose();
    return { type: 'grammar', grammar: text };
  }
  const entries = Object.entries(value).map(async ([name, item]) => [
    name,
    await boundBlanks(item),
  ]);
  return Object.fromEntries(await Promise.all(entries));
}

async function mask(call: Extract<GrammarCall, { kind: 'mask' }>): Promise<Int32Array> {
  let matcher = matchers.get(call.matcher);
  if (matcher === undefined) {
    matcher = await xgrammar.GrammarMatcher.createGrammarMatcher(await compile(call.spec));
    matchers.set(call.matcher, matcher);
  }
  for (const token of call.accept) {
    if (!matcher.acceptToken(token)) throw new Error(`token ${token} is against the grammar`);
  }
  return Int32Array.from(await matcher.getNextTokenBitmask());
}

async function answer(call: Exclude<GrammarCall, { kind: 'close' }>): Promise<GrammarReply> {
  try {
    if (call.kind === 'mask') return { id: call.id, mask: await mask(call) };
    await compile(call.spec);
    return { id: call.id };
  } catch (error) {
    // A program that has aborted answers nothing right any more.
    if (String(error).includes('Aborted')) process.exit(1);
    // C++ exceptions come as numbers.
    const isKnown = error instanceof Error;
    return {
      id: call.id,
      error: isKnown ? error.message : 'something that the compiler does not know',
    };
  }
}

/** One after the other: a matcher takes its tokens in order. */
let last: Promise<void> = Promise.resolve();
port.on('message', (call: GrammarCall) => {
  last = last.then(async () => {
    if (call.kind === 'close') {
      matchers.get(call.matcher)?.dispose();
      matchers.delete(call.matcher);
      return;
    }
    const reply = await answer(call);
    port.postMessage(
      reply,
      'mask' in reply && reply.mask ? [reply.mask.buffer as ArrayBuffer] : [],
    );
  });
});
