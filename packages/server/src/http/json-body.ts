import type { IncomingMessage } from 'node:http';
import { ApiError, badRequest } from '../errors.ts';

const maxDepth = 64;

/** Reads a JSON object. @throws ApiError 400, 413 or 415; the rest of a body that is too long is not read. */
export async function readJson(
  request: IncomingMessage,
  maxBytes: number,
): Promise<Record<string, unknown>> {
  const { headers } = request;
  if (!/^application\/(?:[\w.+-]+\+)?json\b/i.test(headers['content-type'] ?? ''))
    throw new ApiError('The body has to be JSON, with content-type application/json.', {
      status: 415,
      code: 'unsupported_media_type',
    });
  if (headers['content-encoding'] !== undefined && headers['content-encoding'] !== 'identity')
    throw new ApiError('Compressed bodies are not supported.', {
      status: 415,
      code: 'unsupported_content_encoding',
    });
  const value = parse(await readText(request, maxBytes));
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw badRequest('The body has to be a JSON object.', undefined, 'invalid_json');
  if (isTooDeep(value))
    throw badRequest(`The body may nest ${maxDepth} levels.`, undefined, 'invalid_json');
  return { ...value };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw badRequest('The body is not valid JSON.', undefined, 'invalid_json');
  }
}

async function readText(request: IncomingMessage, maxBytes: number): Promise<string> {
  const tooLarge = () =>
    new ApiError(`The body may have ${maxBytes} bytes.`, {
      status: 413,
      code: 'request_too_large',
    });
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let length = 0;
  return new Promise((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > maxBytes) {
        request.pause();
        request.removeAllListeners('data');
        reject(tooLarge());
      } else chunks.push(chunk);
    });
    request.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    request.on('error', () => reject(gone()));
    request.on('close', () => reject(gone()));
  });
}

/** Nobody reads this answer. */
function gone(): ApiError {
  return new ApiError('The client has closed the connection.', { status: 499 });
}

/** Deep values would overflow the stack of who walks through them. */
function isTooDeep(value: object): boolean {
  const stack: [object, number][] = [[value, 1]];
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const [item, depth] = top;
    if (depth > maxDepth) return true;
    for (const child of Object.values(item)) {
      if (typeof child === 'object' && child !== null) stack.push([child, depth + 1]);
    }
  }
  return false;
}
