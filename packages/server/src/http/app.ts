import type { HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { type Context, Hono } from 'hono';
import { cors } from 'hono/cors';
import { pageFile } from '../chat-page/page.ts';
import { ApiError } from '../errors.ts';
import { apiErrorOf } from '../errors-of-engine.ts';
import { modelList } from '../openai/models.ts';
import { ApiKeys } from './api-keys.ts';
import type { ServerContext } from './context.ts';
import { openAiError, retryHeaders } from './error-body.ts';
import { Exchange } from './exchange.ts';
import { isReady, whyNotAlive } from './health.ts';
import { readJson } from './json-body.ts';
import { type PostRoute, postRoutes } from './routes.ts';

type Environment = { Bindings: HttpBindings };

/** All routes. Answers of models are written to the socket directly; Hono finds who writes them. */
export function createApp(context: ServerContext): Hono<Environment> {
  const { corsOrigins } = context.options;
  const app = new Hono<Environment>();
  if (corsOrigins.length > 0)
    app.use(
      cors({
        origin: corsOrigins.includes('*') ? '*' : [...corsOrigins],
        exposeHeaders: ['x-request-id', 'x-ignored-params', 'retry-after'],
      }),
    );
  // Who writes to the socket directly has to send what the middleware above has found.
  app.use(async (c, next) => {
    for (const [name, value] of c.res.headers) c.env.outgoing.setHeader(name, value);
    await next();
  });
  const keys = new ApiKeys(context.options.apiKeys);
  for (const route of postRoutes)
    app.post(route.path, (c) => post(context, keys, route, { c, path: route.path }));
  app.get('/v1/models', (c) => guarded(context, keys, c, () => modelList(context)));
  app.get('/v1/models/:id{.+}', (c) =>
    guarded(context, keys, c, () => {
      const found = modelList(context).data.find(({ id }) => id === c.req.param('id'));
      if (found !== undefined) return found;
      throw new ApiError('There is no such model here.', {
        status: 404,
        type: 'not_found_error',
        code: 'model_not_found',
        param: 'model',
      });
    }),
  );
  if (context.options.chatPage)
    for (const path of ['/', '/chat/*'])
      app.get(path, (c) => {
        const file = pageFile(c.req.path);
        return file === undefined ? c.notFound() : c.body(file.body, 200, { ...file.headers });
      });
  app.get('/openapi.json', async (c) => {
    // Descriptions of all answers, which nothing else needs.
    const { openApi } = await import('./open-api.ts');
    return c.json(openApi(context));
  });
  app.get('/health/live', (c) => live(context, c));
  app.get('/health', (c) => live(context, c));
  app.get('/health/ready', async (c) => {
    const problem = await isReady(context);
    return problem === undefined
      ? c.json({ status: 'ready' })
      : c.json({ status: problem }, 503, { 'retry-after': '5' });
  });
  app.get('/metrics', async (c) => {
    const { registry } = context.metrics;
    return c.body(await registry.metrics(), 200, { 'content-type': registry.contentType });
  });
  app.notFound((c) => {
    const error = new ApiError(`There is no ${c.req.method} ${c.req.path.slice(0, 200)} here.`, {
      status: 404,
      type: 'not_found_error',
      code: 'unsupported_endpoint',
    });
    return c.json(openAiError(error), 404);
  });
  app.onError((error, c) => {
    context.options.logger.error({ err: error }, 'a route has failed');
    return c.json(openAiError(apiErrorOf(error)), 500);
  });
  return app;
}

async function live(context: ServerContext, c: Context<Environment>) {
  const cause = await whyNotAlive(context);
  return cause === undefined ? c.json({ status: 'alive' }) : c.json({ status: cause }, 503);
}

/** An answer that is there at once. */
function guarded(
  context: ServerContext,
  keys: ApiKeys,
  c: Context<Environment>,
  compute: () => object,
) {
  const exchange = new Exchange(c.env.incoming, c.env.outgoing);
  try {
    exchange.tenant = keys.tenantOf(exchange.request);
    exchange.json(200, compute());
  } catch (error) {
    fail(context, exchange, error);
  }
  return RESPONSE_ALREADY_SENT;
}

/** Reads the body, answers, and counts. Whatever goes wrong becomes an answer. */
async function post(
  context: ServerContext,
  keys: ApiKeys,
  route: PostRoute,
  { c, path }: { readonly c: Context<Environment>; readonly path: string },
): Promise<Response> {
  const { admission, metrics, options } = context;
  const exchange = new Exchange(c.env.incoming, c.env.outgoing);
  exchange.response.once('close', () => {
    const status = exchange.response.writableFinished ? exchange.response.statusCode : 499;
    metrics.httpRequests.inc({ handler: path, method: 'POST', status: String(status) });
    const { arrivedAt, id } = exchange;
    options.logger.debug(
      { id, path, status, ms: Math.round(performance.now() - arrivedAt) },
      'answered',
    );
  });
  let leave = () => {};
  try {
    exchange.tenant = keys.tenantOf(exchange.request);
    if (route.generates) leave = admission.enter(exchange.tenant);
    const body = await readJson(exchange.request, options.maxBodyBytes);
    await route.handle(context, exchange, body);
  } catch (error) {
    fail(context, exchange, error, route.errorBody);
  } finally {
    leave();
  }
  return RESPONSE_ALREADY_SENT;
}

function fail(
  { metrics, options }: ServerContext,
  exchange: Exchange,
  cause: unknown,
  errorBody: (error: ApiError, requestId: string) => object = openAiError,
): void {
  const error = apiErrorOf(cause);
  metrics.rejected.inc(metrics.labels({ reason: error.code ?? error.type }));
  // The body of a request that was refused early may still be on its way.
  if (!exchange.request.complete) exchange.response.setHeader('connection', 'close');
  if (error.status >= 500 && error.status !== 503 && error.status !== 504)
    options.logger.error({ err: error.cause ?? error, id: exchange.id }, 'a request has failed');
  exchange.json(error.status, errorBody(error, exchange.id), retryHeaders(error));
}
