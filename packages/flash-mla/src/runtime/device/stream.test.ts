import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Device,
  DisposedError,
  InvalidArgumentError,
  openDevice,
  rmsNorm,
  type Stream,
  type StreamEvent,
} from '../../index.ts';
import { recordingDevice } from '../../ops/attention/api/testing/recording-backend.ts';
import { useSwiftShader } from '../webgpu/testing/swiftshader.ts';

const absent = useSwiftShader();

describe('a stream', () => {
  const setUp = () => {
    const { device, backend } = recordingDevice();
    return { device, backend, side: device.createStream({ name: 'side' }) };
  };

  it('is where work goes within withStream, whatever happens there', () => {
    const { device, backend, side } = setUp();
    const first = backend.stream;
    const streams = device.withStream(side, () => {
      const outer = backend.stream;
      expect(device.stream).toBe(side);
      device.withStream(device.defaultStream, () => expect(backend.stream).toBe(first));
      return [outer, backend.stream];
    });
    expect(streams[0]).toBe(streams[1]);
    expect(streams[0]).not.toBe(first);
    const fail = () =>
      device.withStream(side, () => {
        throw new RangeError('mine');
      });
    expect(fail).toThrow(RangeError);
    expect([device.stream, backend.stream]).toEqual([device.defaultStream, first]);
  });

  it('is refused where it is none, is closed or belongs elsewhere', async () => {
    const { device, side } = setUp();
    const other = setUp();
    const tensor = device.empty([1], 'i32');
    const bad: [Stream, RegExp][] = [
      [7 as never, /^stream: expected a stream of the device, got 7/],
      [{} as never, /^stream: .*an object/],
      [other.side, /^stream: .*another device/],
    ];
    for (const [stream, message] of bad) {
      expect(() => tensor.write(new Int32Array(1), { stream })).toThrow(message);
      expect(() => device.withStream(stream, () => {})).toThrow(InvalidArgumentError);
    }
    expect(() => tensor.write(new Int32Array(1), 7 as never)).toThrow(/^options: /);
    expect(() => side.wait(7 as never)).toThrow(/^event: /);
    expect(() => side.wait({} as StreamEvent)).toThrow(/^event: /);
    expect(() => side.wait(other.side.record())).toThrow(/^event: .*another device/);
    expect(() => device.withStream(side, (async () => {}) as never)).toThrow(/async/);
    expect(() => device.withStream(side, 7 as never)).toThrow(/^enqueue: /);
    expect(() => device.createStream({ name: '' })).toThrow(/^name: /);
    side.dispose();
    side.dispose();
    expect(() => tensor.write(new Int32Array(1), { stream: side })).toThrow(DisposedError);
    expect(() => side.record()).toThrow(DisposedError);
    await device.dispose();
    expect(() => device.defaultStream.record()).toThrow(DisposedError);
    expect(() => device.createStream()).toThrow(DisposedError);
  });

  it('cannot be disposed of while work goes to it, nor can the default stream', () => {
    const { device, side } = setUp();
    expect(() => device.defaultStream.dispose()).toThrow(/default stream/);
    expect(() => device.withStream(side, () => side.dispose())).toThrow(/work goes to now/);
    device.withStream(side, () => device.empty([1], 'u8'));
  });
});

describe('a capture', () => {
  it('takes streams that wait for an event of it and are waited for', () => {
    const { device } = recordingDevice();
    const [a, b] = [device.createStream({ name: 'a' }), device.createStream({ name: 'b' })];
    const tensor = device.empty([1], 'i32');
    const use = (stream: Stream) => tensor.write(new Int32Array(1), { stream });
    const join = (stream: Stream, other: Stream) => stream.wait(other.record());
    const main = device.defaultStream;
    device.capture(() => {
      join(a, main);
      use(a);
      join(b, a);
      use(b);
      join(a, b);
      use(a);
      join(main, a);
    });
    device.capture(
      () => {
        join(b, a);
        join(a, b);
      },
      { stream: a },
    );
    const refused: [() => void, RegExp][] = [
      [() => use(a), /'a', which has waited for no event of it/],
      [() => a.record(), /'a', which has waited for no event of it/],
      [() => join(a, main), /^$/],
      [
        () => {
          join(a, main);
          use(a);
        },
        /leaves work of 'a' unordered/,
      ],
      [
        () => {
          join(a, main);
          const early = a.record();
          use(a);
          main.wait(early);
        },
        /leaves work of 'a' unordered/,
      ],
    ];
    for (const [enqueue, message] of refused) {
      if (message.source === '^$') device.capture(enqueue);
      else expect(() => device.capture(enqueue)).toThrow(message);
    }
    expect(device.stream).toBe(main);
  });

  it('knows no events but its own, and lends none', () => {
    const { device } = recordingDevice();
    const side = device.createStream();
    const before = device.defaultStream.record();
    let within: StreamEvent | undefined;
    expect(() => device.capture(() => side.wait(before))).toThrow(/one recorded before it/);
    device.capture(() => {
      within = device.defaultStream.record();
      expect(() => within?.isDone()).toThrow(/isDone\(\) of an event/);
    });
    expect(() => side.wait(within as StreamEvent)).toThrow(/one of another capture/);
    expect(() => device.capture(() => side.wait(within as StreamEvent))).toThrow(/of another/);
    expect(() => within?.isDone()).toThrow(/part of a graph/);
    expect(() => within?.synchronize()).toThrow(/Record one after replay/);
  });

  it('refuses to make streams, wait for them or dispose of them', () => {
    const { device } = recordingDevice();
    const side = device.createStream();
    const attempts = [
      () => void device.createStream(),
      () => void side.synchronize(),
      () => side.dispose(),
    ];
    for (const attempt of attempts) {
      expect(() => device.capture(attempt)).toThrow(/a function that only enqueues/);
    }
  });
});

const devices = [
  { spec: 'cpu', missing: false },
  { spec: 'sim', missing: false },
  { spec: 'webgpu', missing: Boolean(absent) },
] as const;

for (const { spec, missing } of devices) {
  describe.skipIf(missing)(`streams on ${spec}`, () => {
    let device: Device;
    beforeAll(async () => {
      device = await openDevice(spec);
    });
    afterAll(() => device.dispose());

    it('run operations in the order that events give', async () => {
      const side = device.createStream();
      const x = device.tensor([3, 4, 3, 4], [1, 4], 'f32');
      const weight = device.tensor([1, 1, 1, 1], [4], 'f32');
      side.wait(device.defaultStream.record());
      const { out } = device.withStream(side, () =>
        rmsNorm({ x, weight, eps: 1e-6, dtype: 'f32' }),
      );
      const normed = side.record();
      device.defaultStream.wait(normed);
      const result = await out.readFloat32();
      expect(result[0]).toBeCloseTo(3 / Math.sqrt(12.5), 3);
      expect(normed.isDone()).toBe(true);
      await normed.synchronize();
      x.write(Float32Array.of(0, 0, 0, 7), { stream: side });
      expect([...(await x.readFloat32({ stream: side }))]).toEqual([0, 0, 0, 7]);
      await side.synchronize();
      side.dispose();
      for (const tensor of [x, weight, out]) tensor.dispose();
    });

    it('are recorded into one graph, which runs on any of them', async () => {
      const side = device.createStream();
      const [a, b] = [device.empty([1], 'f32'), device.empty([1], 'f32')];
      const graph = device.capture(() => {
        side.wait(device.defaultStream.record());
        b.write(Float32Array.of(2), { stream: side });
        a.write(Float32Array.of(1));
        device.defaultStream.wait(side.record());
      });
      graph.replay({ stream: side });
      expect([...(await a.read({ stream: side })), ...(await b.read({ stream: side }))]).toEqual([
        1, 2,
      ]);
      await device.synchronize();
      graph.dispose();
      side.dispose();
      for (const tensor of [a, b]) tensor.dispose();
    });
  });
}
