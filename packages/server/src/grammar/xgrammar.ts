import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What the grammar worker uses of @mlc-ai/web-xgrammar. */
export interface XGrammar {
  readonly Grammar: {
    fromJSONSchema(
      schema: string,
      anyWhitespace: boolean,
      indent: number | undefined,
      separators: [string, string] | undefined,
      strict: boolean,
      maxWhitespace: number,
    ): Promise<{ toString(): string; dispose(): void }>;
  };
  readonly TokenizerInfo: {
    createTokenizerInfo(
      tokens: string[],
      kind: 'byte_level',
      prependSpace: boolean,
      size: number,
      stopTokens: number[],
    ): Promise<object>;
  };
  readonly GrammarCompiler: {
    createGrammarCompiler(info: object, isCached: boolean): Promise<XGrammarCompiler>;
  };
  readonly GrammarMatcher: {
    createGrammarMatcher(grammar: CompiledGrammar): Promise<XGrammarMatcher>;
  };
}

export interface CompiledGrammar {
  dispose(): void;
}

export interface XGrammarCompiler {
  compileJSONSchema(
    schema: string,
    anyWhitespace: boolean,
    indent: number | undefined,
    separators: [string, string] | undefined,
    strict: boolean,
    maxWhitespace: number,
  ): Promise<CompiledGrammar>;
  compileStructuralTag(tag: string): Promise<CompiledGrammar>;
}

export interface XGrammarMatcher {
  acceptToken(token: number): boolean;
  getNextTokenBitmask(): Promise<Int32Array>;
  dispose(): void;
}

/**
 * Loads the package. It says that it is an ES module and is none, so Node can neither import nor
 * require it (0.1.27); here its file is run as the CommonJS module that it is.
 */
export function loadXGrammar(): XGrammar {
  const path = fileURLToPath(import.meta.resolve('@mlc-ai/web-xgrammar'));
  const module: { exports: unknown } = { exports: {} };
  const run = new Function(
    'module',
    'exports',
    'require',
    '__filename',
    '__dirname',
    readFileSync(path, 'utf8'),
  );
  run(module, module.exports, createRequire(path), path, dirname(path));
  return module.exports as XGrammar;
}
