import { describe, expect, it } from 'vitest';
import { field, type Ops, type SimulationError } from '../index.ts';
import { type AsyncBuilder, runAsync } from '../testing/async.ts';
import { faultOf } from '../testing/run.ts';

type Data = { data: ReturnType<typeof data> };
const data = () => field('u32', [256], { align: 1024 });
const shared = { data: data() };
type K = AsyncBuilder<Data>;

/** By the first thread alone. */
const once = (k: Ops, then: () => void) => k.if(k.threadIdx.x.eq(0), then);

/** Barriers of one arrival, ready for copies. */
function ready(k: AsyncBuilder<Record<never, never>>, count = 1): void {
  once(k, () => {
    for (let i = 0; i < count; i++) k.mbarrierInit(k.shared.bar.at(i), 1);
    k.fenceMbarrierInit();
  });
  k.barrier();
}

/** Loads so many bytes of x and waits for them. */
function loaded(k: K, bytes: number): void {
  ready(k as never);
  const bar = k.shared.bar.at(0);
  once(k, () => {
    k.mbarrierArriveExpectTx(bar, bytes);
    k.bulkLoad(k.shared.data.at(0), k.params.x, bytes, bar);
  });
  k.mbarrierWait(bar, 0);
}

const fault = (kind: SimulationError['kind'], build: (k: K) => void, options = {}) =>
  faultOf(kind, () => runAsync({ shared, ...options }, build));

describe('bulk copies', () => {
  it('load, store, add', () => {
    const out = runAsync({ shared }, (k) => {
      loaded(k, 256);
      const me = k.shared.data.at(k.laneId);
      me.store(me.load().add(100));
      k.fenceProxyAsync();
      k.syncWarp();
      once(k, () => {
        k.bulkStore(k.params.out, k.shared.data.at(0), 128);
        k.bulkCommit();
        k.bulkWait(0);
        k.bulkReduce(k.params.out.at(4), k.shared.data.at(32), 16);
        k.bulkCommit();
        k.bulkWait(0);
        k.params.out.at(63).store(k.params.out.at(5).load());
      });
    });
    expect([...out.subarray(0, 10)]).toEqual([100, 101, 102, 103, 136, 138, 140, 142, 108, 109]);
    expect(out[63]).toBe(138);
  });

  it('must be aligned and inside', () => {
    const load = (k: K, to: number, from: number, bytes: number) => {
      ready(k as never);
      once(k, () => {
        k.mbarrierArriveExpectTx(k.shared.bar.at(0), bytes);
        const size = k.constant('u32', bytes);
        k.bulkLoad(k.shared.data.at(to), k.params.x.at(from), size, k.shared.bar.at(0));
      });
    };
    fault('misaligned', (k) => load(k, 1, 0, 16));
    fault('misaligned', (k) => load(k, 0, 2, 16));
    fault('misaligned', (k) => load(k, 0, 0, 20));
    fault('out of bounds', (k) => load(k, 252, 0, 64));
    fault('out of bounds', (k) => load(k, 0, 1020, 32));
  });

  it('carry uninitialised words along', () => {
    const { message } = fault('uninitialised read', (k) => {
      once(k, () => k.shared.data.at(0).store(1));
      k.fenceProxyAsync();
      once(k, () => k.bulkStore(k.params.out, k.shared.data.at(0), 16));
    });
    expect(message).toContain('address 0x4');
  });

  it('hold their source until it is read', () => {
    const store = (k: K, then: () => void) => {
      loaded(k, 128);
      once(k, () => {
        k.bulkStore(k.params.out, k.shared.data.at(0), 128);
        k.bulkCommit();
        then();
      });
    };
    const { message } = fault('pending copy', (k) => store(k, () => k.shared.data.at(3).store(1)));
    expect(message).toMatch(/overwrites what the bulk store at .*async\.test\.ts:\d+ still reads/);
    const out = runAsync({ shared }, (k) =>
      store(k, () => {
        k.bulkWait(0, { read: true });
        k.shared.data.at(3).store(77);
      }),
    );
    expect(out[3]).toBe(3);
    // Other warps have to be told.
    fault(
      'race',
      (k) => {
        store(k, () => k.bulkWait(0, { read: true }));
        k.if(k.threadIdx.x.eq(32), () => k.shared.data.at(3).store(1));
      },
      { threads: 64 },
    );
  });

  it('leave the destination alone until they have arrived', () => {
    const { message } = fault('pending copy', (k) => {
      loaded(k, 128);
      once(k, () => {
        k.bulkStore(k.params.out, k.shared.data.at(0), 128);
        k.bulkCommit();
        k.bulkWait(0, { read: true });
        k.params.out.at(40).store(k.params.out.at(3).load());
      });
    });
    expect(message).toMatch(/the bulk store at .* has not arrived here yet/);
  });

  it('add up, but are not to be looked at before they have', () => {
    const build = (wait: boolean) => (k: K) => {
      loaded(k, 128);
      once(k, () => {
        for (let i = 0; i < 2; i++) {
          k.bulkReduce(k.params.out, k.shared.data.at(0), 128);
          k.bulkCommit();
        }
        k.reduceAdd(k.params.out.at(1), 5);
        k.bulkWait(0, { read: !wait });
        k.params.out.at(40).store(k.params.out.at(1).load());
      });
    };
    expect(runAsync({ shared }, build(true))[40]).toBe(7);
    const { message } = fault('pending copy', build(false));
    expect(message).toMatch(/the bulk reduction at .* has not arrived here yet/);
  });

  it('wait for the newest groups last', () => {
    runAsync({ shared }, (k) => {
      loaded(k, 256);
      once(k, () => {
        for (const i of [0, 1]) {
          k.bulkStore(k.params.out.at(32 * i), k.shared.data.at(32 * i), 128);
          k.bulkCommit();
        }
        k.bulkWait(1, { read: true });
        k.shared.data.at(3).store(1);
        k.bulkWait(0, { read: true });
        k.shared.data.at(35).store(1);
      });
    });
    fault('pending copy', (k) => {
      loaded(k, 256);
      once(k, () => {
        for (const i of [0, 1]) {
          k.bulkStore(k.params.out.at(32 * i), k.shared.data.at(32 * i), 128);
          k.bulkCommit();
        }
        k.bulkWait(1, { read: true });
        k.shared.data.at(35).store(1);
      });
    });
  });
});

describe('proxies', () => {
  it('must be fenced where a copy overwrites what threads wrote', () => {
    const build = (fenced: boolean) => (k: K) => {
      k.shared.data.at(k.laneId).store(0);
      if (fenced) k.fenceProxyAsync('shared::cta');
      loaded(k, 128);
      k.params.out.at(k.laneId).store(k.shared.data.at(k.laneId).load());
    };
    fault('proxy', build(false));
    expect(runAsync({ shared }, build(true))[5]).toBe(5);
  });

  it('need the right space', () => {
    fault('proxy', (k) => {
      k.shared.data.at(k.laneId).store(0);
      k.fenceProxyAsync('global');
      k.syncWarp();
      once(k, () => k.bulkStore(k.params.out, k.shared.data.at(0), 128));
    });
  });

  it('must be fenced where a copy reads what this kernel wrote in global memory', () => {
    const build = (fence: (k: K) => void) => (k: K) => {
      k.params.x.at(k.laneId).store(7);
      fence(k);
      loaded(k, 128);
      k.params.out.at(k.laneId).store(k.shared.data.at(k.laneId).load());
    };
    fault(
      'proxy',
      build(() => {}),
    );
    expect(
      runAsync(
        { shared },
        build((k) => k.fenceProxyAsync()),
      )[9],
    ).toBe(7);
  });

  it('may be fenced by one warp for all, behind a barrier', () => {
    const out = runAsync({ shared, threads: 64 }, (k) => {
      k.shared.data.at(k.threadIdx.x).store(k.threadIdx.x);
      k.barrier();
      once(k, () => {
        k.fenceProxyAsync();
        k.bulkStore(k.params.out, k.shared.data.at(0), 256);
        k.bulkCommit();
        k.bulkWait(0);
      });
    });
    expect(out[63]).toBe(63);
  });
});

describe('memory barriers', () => {
  it('carry what threads wrote', () => {
    const ring = (waits: boolean) => (k: K) => {
      ready(k as never);
      const bar = k.shared.bar.at(0);
      k.if(
        k.warpId.eq(1),
        () => {
          k.shared.data.at(k.laneId).store(k.laneId.mul(3));
          k.syncWarp();
          k.if(k.laneId.eq(0), () => k.mbarrierArrive(bar));
        },
        () => {
          if (waits)
            k.while(
              () => k.mbarrierTryWait(bar, 0).not(),
              () => {},
            );
          k.params.out.at(k.laneId).store(k.shared.data.at(k.laneId).load());
        },
        { uniform: true },
      );
    };
    expect(runAsync({ shared, threads: 64 }, ring(true))[9]).toBe(27);
    fault('race', ring(false), { threads: 64 });
  });

  it('are made once, known to their users, and of sensible counts', () => {
    const { message } = fault('barrier', (k) => {
      for (let i = 0; i < 2; i++) once(k, () => k.mbarrierInit(k.shared.bar.at(1), 1));
    });
    expect(message).toContain('initialises bar[1] again, which is in use');
    fault('barrier', (k) => k.mbarrierArrive(k.shared.bar.at(2)));
    fault('barrier', (k) => once(k, () => k.mbarrierInit(k.shared.bar.at(0), k.laneId)));
    fault(
      'race',
      (k) => {
        once(k, () => k.mbarrierInit(k.shared.bar.at(0), 1));
        k.if(k.threadIdx.x.eq(32), () => k.mbarrierArrive(k.shared.bar.at(0)));
      },
      { threads: 64 },
    );
    runAsync({ shared }, (k) =>
      once(k, () => {
        k.mbarrierInit(k.shared.bar.at(0), 1);
        k.mbarrierInvalidate(k.shared.bar.at(0));
        k.mbarrierInit(k.shared.bar.at(0), 2);
      }),
    );
  });

  it('are not to be touched otherwise', () => {
    const { message } = fault('barrier', (k) => {
      ready(k as never);
      once(k, () => k.shared.bar.at(0).store(0n));
    });
    expect(message).toContain('overwrites the memory barrier bar[0]');
    fault('barrier', (k) => {
      ready(k as never);
      once(k, () => k.params.out.as('b64').store(k.shared.bar.at(0).load()));
    });
  });

  it('have phases of parity 0 and 1', () => {
    fault('barrier', (k) => {
      ready(k as never);
      k.mbarrierWait(k.shared.bar.at(0), 2);
    });
  });

  it('count bytes up to a limit', () => {
    fault('barrier', (k) => {
      ready(k as never);
      once(k, () => {
        for (let i = 0; i < 2; i++) k.mbarrierExpectTx(k.shared.bar.at(0), 2 ** 20 - 16);
      });
    });
  });

  it('must not run ahead of those who wait', () => {
    const { problem } = fault(
      'barrier',
      (k) => {
        ready(k as never);
        const bar = k.shared.bar.at(0);
        k.if(
          k.warpId.eq(1),
          () => k.mbarrierWait(bar, 0),
          () => {
            // Gives the other warp time to begin waiting.
            k.barrier(1, 32);
            k.nanosleep(1);
            k.if(k.mbarrierTryWait(bar, 0).not(), () => {});
            k.for({ to: 2 }, () => k.nanosleep(1));
            once(k, () => {
              k.mbarrierArrive(bar);
              k.mbarrierArrive(bar);
            });
          },
          { uniform: true },
        );
      },
      { threads: 64 },
    );
    expect(problem).toContain('two phases');
  });

  it('report who waits for what when nothing can go on', () => {
    const { message } = fault('deadlock', (k) => {
      ready(k as never);
      once(k, () => k.mbarrierArriveExpectTx(k.shared.bar.at(0), 48));
      k.mbarrierWait(k.shared.bar.at(0), 0);
    });
    expect(message).toContain('waits at bar[0], a phase of parity 0');
    expect(message).toContain('48 bytes are still to come');
  });

  it('must have been fenced before copies use them', () => {
    fault('barrier', (k) =>
      once(k, () => {
        k.mbarrierInit(k.shared.bar.at(0), 1);
        k.mbarrierArriveExpectTx(k.shared.bar.at(0), 16);
        k.bulkLoad(k.shared.data.at(0), k.params.x, 16, k.shared.bar.at(0));
      }),
    );
  });

  it('need to be waited for by the CTA before it ends', () => {
    const load = (k: K) => {
      ready(k as never);
      once(k, () => {
        k.mbarrierArriveExpectTx(k.shared.bar.at(0), 16);
        k.bulkLoad(k.shared.data.at(0), k.params.x, 16, k.shared.bar.at(0));
      });
    };
    fault('pending copy', load);
    // Early enough by chance is no better.
    for (const seed of [1, 2, 3, 4]) fault('pending copy', load, { seed });
  });
});

describe('data on its way', () => {
  it('is known only to those who waited', () => {
    const build = (waits: boolean) => (k: K) => {
      ready(k as never);
      const bar = k.shared.bar.at(0);
      once(k, () => {
        k.mbarrierArriveExpectTx(bar, 128);
        k.bulkLoad(k.shared.data.at(0), k.params.x, 128, bar);
      });
      k.if(k.warpId.eq(0), () => k.mbarrierWait(bar, 0), { uniform: true });
      k.if(
        k.warpId.eq(1),
        () => {
          // Long enough for the data to be there.
          k.for({ to: 20 }, () => k.nanosleep(1));
          if (waits) k.mbarrierWait(bar, 0);
          k.params.out.at(k.laneId).store(k.shared.data.at(k.laneId).load());
        },
        { uniform: true },
      );
    };
    const { message } = fault('pending copy', build(false), { threads: 64, seed: 3 });
    expect(message).toContain('a copy that reports to bar[0] delivered');
    expect(runAsync({ shared, threads: 64 }, build(true))[31]).toBe(31);
  });

  it('is known behind a barrier with somebody who waited', () => {
    const out = runAsync({ shared, threads: 64 }, (k) => {
      ready(k as never);
      const bar = k.shared.bar.at(0);
      once(k, () => {
        k.mbarrierArriveExpectTx(bar, 256);
        k.bulkLoad(k.shared.data.at(0), k.params.x, 256, bar);
        k.mbarrierWait(bar, 0);
      });
      k.barrier();
      k.params.out.at(k.threadIdx.x).store(k.shared.data.at(k.threadIdx.x).load());
    });
    expect(out[63]).toBe(63);
  });
});
