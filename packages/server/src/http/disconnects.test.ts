import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectIdleAfterEach, type Served, serve } from '../testing/serve.ts';

// Clients that go away at every point of a request and of its answer. `DISCONNECTS=all` tries every byte.
const every = process.env.DISCONNECTS === 'all' ? 1 : 7;

let served: Served;
beforeAll(async () => {
  served = await serve({ maxBufferedBytes: 20_000 });
});
expectIdleAfterEach(() => served);

/** A request as it goes over the wire. */
function wire(more: object = {}): string {
  const body = JSON.stringify({
    model: 'bytes',
    temperature: 0,
    messages: [{ role: 'user', content: 'say:some words' }],
    ...more,
  });
  const path = '/v1/chat/completions';
  return `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

async function open(): Promise<Socket> {
  const socket = connect(Number(new URL(served.url).port), '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** What comes back until the other side has nothing more to say, or has said so much. */
async function read(socket: Socket, bytes = Number.POSITIVE_INFINITY): Promise<string> {
  let text = '';
  for await (const chunk of socket) {
    text += String(chunk);
    if (text.length >= bytes || text.includes('[DONE]')) break;
  }
  return text;
}

const stillServes = async () => {
  const socket = await open();
  socket.write(wire({ stream: true }));
  expect(await read(socket)).toContain('[DONE]');
  socket.destroy();
};

describe('a client that goes away', () => {
  it('while it sends its request, after any byte', async () => {
    const text = wire();
    const ends = [
      (socket: Socket) => socket.destroy(),
      (socket: Socket) => socket.resetAndDestroy(),
      (socket: Socket) => socket.end(),
    ];
    const cuts = Array.from({ length: Math.floor(text.length / every) }, (_, i) => i * every);
    await Promise.all(
      cuts.map(async (cut, i) => {
        const socket = await open();
        socket.write(text.slice(0, cut));
        await new Promise((resolve) => setTimeout(resolve, i % 5));
        ends[i % ends.length]?.(socket);
        socket.resume();
      }),
    );
    await stillServes();
  });

  it.each([true, false])(
    'while it reads the answer, after any byte (stream %s)',
    async (stream) => {
      const whole = await open();
      whole.write(wire({ stream }).replace('\r\n', '\r\nconnection: close\r\n'));
      const { length } = await read(whole);
      expect(length).toBeGreaterThan(300);
      whole.destroy();
      const cuts = Array.from({ length: Math.ceil(length / (every * 6)) }, (_, i) => i * every * 6);
      await Promise.all(
        cuts.map(async (cut, i) => {
          const socket = await open();
          socket.write(wire({ stream }));
          if (cut > 0) await read(socket, cut);
          if (i % 2 === 0) socket.destroy();
          else socket.resetAndDestroy();
        }),
      );
      await stillServes();
    },
  );

  it('while it waits in the queue, in the prompt, and between tokens', async () => {
    served.runner.stepMs = 2;
    const long = { messages: [{ role: 'user', content: `say:${'x'.repeat(1500)}` }] };
    const sockets = await Promise.all(
      Array.from({ length: 24 }, async () => {
        const socket = await open();
        socket.write(wire({ ...long, stream: true }));
        return socket;
      }),
    );
    await expect.poll(() => served.engine.stats().running).toBeGreaterThan(0);
    const { cancelled } = served.engine.stats().finished;
    for (const [i, socket] of sockets.entries()) {
      socket.destroy();
      if (i % 4 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await served.idle();
    served.runner.stepMs = 0;
    expect(served.engine.stats().finished.cancelled - cancelled).toBe(24);
    await stillServes();
  });
});

it('hundreds of readers that read nothing keep nobody else', async () => {
  // `SLOW_READERS=500` is what a server has to bear; the suite has time for fewer.
  const count = Number(process.env.SLOW_READERS ?? 60);
  const request = wire({ stream: true, max_tokens: 30 });
  const sockets = await Promise.all(
    Array.from({ length: count }, async () => {
      const socket = await open();
      socket.pause();
      socket.write(request);
      return socket;
    }),
  );
  await expect
    .poll(() => served.engine.stats().running + served.engine.stats().waiting)
    .toBeGreaterThan(0);
  await stillServes();
  // Nobody has read, and all have been answered: what they have not taken waits outside of the engine.
  await served.idle();
  const answers = await Promise.all(
    sockets.map(async (socket, i) => {
      if (i % 2 === 0) return read(socket.resume());
      socket.destroy();
      return '[DONE]';
    }),
  );
  for (const answer of answers) expect(answer).toContain('[DONE]');
  for (const socket of sockets) socket.destroy();
}, 60_000);
