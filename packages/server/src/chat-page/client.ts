import { AnswerView, userMessage } from './answer-view.ts';
import { ask, headersWith, type Message } from './stream.ts';

// The script of the page at `/`.

function byId<Kind extends HTMLElement>(id: string, kind: { new (): Kind }): Kind {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`);
  return found;
}

const form = byId('form', HTMLFormElement);
const input = byId('text', HTMLTextAreaElement);
const log = byId('log', HTMLElement);
const status = byId('status', HTMLElement);
const send = byId('send', HTMLButtonElement);
const stop = byId('stop', HTMLButtonElement);
const title = byId('model', HTMLElement);
const key = byId('key', HTMLInputElement);

let model = '';
let conversation: Message[] = [];
let running: AbortController | undefined;

async function loadModel(): Promise<void> {
  const response = await fetch('/v1/models', { headers: headersWith(key.value.trim()) });
  if (response.status === 401) {
    byId('settings', HTMLDetailsElement).open = true;
    status.textContent = 'This server wants an API key: see the settings.';
    return;
  }
  const { data } = await response.json();
  model = String(data[0].id);
  title.textContent = model;
  document.title = `${model} · Chat`;
  status.textContent = 'Ready.';
}

function setRunning(controller: AbortController | undefined): void {
  running = controller;
  send.hidden = controller !== undefined;
  stop.hidden = controller === undefined;
}

function numberOf(id: string): number | undefined {
  const { value } = byId(id, HTMLInputElement);
  return value === '' ? undefined : Number(value);
}

async function answer(): Promise<void> {
  const text = input.value.trim();
  if (text === '' || running !== undefined) return;
  if (model === '') await loadModel();
  input.value = '';
  const view = new AnswerView(model);
  log.append(userMessage(text), view.element);
  conversation.push({ role: 'user', content: text });
  const controller = new AbortController();
  setRunning(controller);
  status.textContent = 'Answering …';
  const system = byId('system', HTMLTextAreaElement).value.trim();
  const [temperature, maxTokens] = [numberOf('temperature'), numberOf('max-tokens')];
  const body = {
    model,
    messages: [
      ...(system === '' ? [] : [{ role: 'system' as const, content: system }]),
      ...conversation,
    ],
    ...(temperature !== undefined && { temperature }),
    ...(maxTokens !== undefined && { max_tokens: maxTokens }),
  };
  try {
    const end = await ask(body, key.value.trim(), controller.signal, (delta) => {
      // Only who is at the end already is taken along.
      const follows = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
      view.add(delta);
      if (follows) log.scrollTop = log.scrollHeight;
    });
    const rate =
      end.tokens > 1
        ? `, ${((end.tokens - 1) / (end.milliseconds / 1e3)).toFixed(1)} tokens/s`
        : '';
    const cut = end.reason === 'length' ? ', cut at the limit' : '';
    view.facts(`${end.tokens} tokens${rate}${cut}`);
    status.textContent = 'Ready.';
  } catch (error) {
    if (controller.signal.aborted) view.facts('stopped');
    else view.fail(error instanceof Error ? error.message : String(error));
    status.textContent = controller.signal.aborted ? 'Stopped.' : 'The answer has failed.';
  }
  if (view.text !== '') conversation.push({ role: 'assistant', content: view.text });
  else conversation.pop();
  setRunning(undefined);
  log.scrollTop = log.scrollHeight;
  input.focus();
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  void answer();
});
input.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});
stop.addEventListener('click', () => running?.abort());
byId('new', HTMLButtonElement).addEventListener('click', () => {
  running?.abort();
  conversation = [];
  log.replaceChildren();
  input.focus();
});
key.addEventListener('change', () => void loadModel());
loadModel().catch(() => {
  status.textContent = 'The server does not answer.';
});
