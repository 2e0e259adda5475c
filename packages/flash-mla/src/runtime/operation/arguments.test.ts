import { InvalidArgumentError } from '@flash-mla/core';
import { describe, expect, it } from 'vitest';
import { optionNames, readOptions } from './arguments.ts';

const known = optionNames('q', 'causal', 'out');

describe('readOptions', () => {
  it('gives every known name, whatever was given and in whatever order', () => {
    expect(readOptions({ causal: true, q: 1 }, known)).toStrictEqual({
      q: 1,
      causal: true,
      out: undefined,
    });
    expect(readOptions({}, known)).toStrictEqual({
      q: undefined,
      causal: undefined,
      out: undefined,
    });
  });

  it('sees what an object inherits', () => {
    const defaults = { causal: true };
    expect(readOptions(Object.assign(Object.create(defaults), { q: 1 }), known)).toMatchObject({
      q: 1,
      causal: true,
    });
    const noPrototype = Object.assign(Object.create(null), { q: 2 });
    expect(readOptions(noPrototype, known)).toMatchObject({ q: 2 });
  });

  it('reads each property once', () => {
    let reads = 0;
    const options = {
      get q() {
        return ++reads;
      },
    };
    expect(readOptions(options, known).q).toBe(1);
    expect(reads).toBe(1);
  });

  it.each([
    ['an unknown name', { q: 1, casual: true }, 'casual'],
    ["the name of an object's method", { constructor: 1 }, 'constructor'],
    ['an unknown name that is inherited', Object.create({ scale: 1 }), 'scale'],
    ['an unknown name without a value', { scale: undefined }, 'scale'],
    ['no object', 3, 'options'],
    ['null', null, 'options'],
  ])('refuses %s', (_, options, argument) => {
    const read = () => readOptions(options as object, known);
    expect(read).toThrow(InvalidArgumentError);
    expect(read).toThrow(expect.objectContaining({ argument }));
  });
});
