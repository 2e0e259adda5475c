/** How two integers relate; the four last ones read them without sign. */
export type Relation =
  | 'eq'
  | 'ne'
  | 'lt'
  | 'le'
  | 'gt'
  | 'ge'
  | 'below'
  | 'belowOrEqual'
  | 'above'
  | 'aboveOrEqual';

type Suffix = 'e' | 'ne' | 'l' | 'ge' | 'le' | 'g' | 'b' | 'ae' | 'be' | 'a';

const suffixes: Readonly<Record<Relation, readonly [Suffix, Suffix]>> = {
  eq: ['e', 'ne'],
  ne: ['ne', 'e'],
  lt: ['l', 'ge'],
  ge: ['ge', 'l'],
  le: ['le', 'g'],
  gt: ['g', 'le'],
  below: ['b', 'ae'],
  aboveOrEqual: ['ae', 'b'],
  belowOrEqual: ['be', 'a'],
  above: ['a', 'be'],
};

/** What the flags say at one place in the code; it holds until the next instruction. */
export class Condition {
  readonly relation: Relation;
  /** How many items the code had when the flags were set. */
  readonly position: number;

  constructor(relation: Relation, position: number) {
    this.relation = relation;
    this.position = position;
  }

  /** The jump that is taken when it holds, or when it does not. */
  jump(holds: boolean): `j${Suffix}` {
    return `j${suffixes[this.relation][holds ? 0 : 1]}`;
  }
}
