/** Pairs of a row and one of its experts, sorted by expert. */

// Where the thread keeps the lists while it runs a command.
let order: usize = 0;
let ends: usize = 0;

/** Where the lists go: the ends of the experts' pairs, then the pairs in order. */
export function usePairLists(endsAt: usize, orderAt: usize): void {
  ends = endsAt;
  order = orderAt;
}

/** Sorts the pairs of a chunk by expert; lists the experts that have any, and counts them. */
export function sortPairs(pairs: usize, count: i32, experts: i32, active: usize): i32 {
  memory.fill(ends, 0, <usize>experts << 2);
  for (let p: usize = 0; p < <usize>count; p++) {
    const expert = load<u32>(pairs + (p << 2));
    if (expert >= <u32>experts) continue;
    const at = ends + (<usize>expert << 2);
    store<i32>(at, load<i32>(at) + 1);
  }
  let numActive = 0;
  let sum = 0;
  for (let e = 0; e < experts; e++) {
    const at = ends + (<usize>e << 2);
    const n = load<i32>(at);
    if (n > 0) {
      store<i32>(active + (<usize>numActive << 2), e);
      numActive++;
    }
    store<i32>(at, sum);
    sum += n;
  }
  // Where the pairs of an expert begin moves on to where they end.
  for (let p = 0; p < count; p++) {
    const expert = load<u32>(pairs + (<usize>p << 2));
    if (expert >= <u32>experts) continue;
    const at = ends + (<usize>expert << 2);
    const place = load<i32>(at);
    store<i32>(order + (<usize>place << 2), p);
    store<i32>(at, place + 1);
  }
  return numActive;
}

// @ts-ignore: decorator
@inline
export function endOf(expert: i32): i32 {
  return load<i32>(ends + (<usize>expert << 2));
}

// @ts-ignore: decorator
@inline
export function beginOf(expert: i32): i32 {
  return expert == 0 ? 0 : load<i32>(ends + (<usize>expert << 2) - 4);
}

// @ts-ignore: decorator
@inline
export function pairAt(place: i32): i32 {
  return load<i32>(order + (<usize>place << 2));
}
