/** What a chunk of a stream adds to a message. */
export interface Delta {
  readonly content?: string | null;
  readonly reasoning_content?: string | null;
  readonly reasoning?: string | null;
  readonly tool_calls?: readonly {
    readonly index: number;
    readonly function?: { readonly name?: string; readonly arguments?: string };
  }[];
}

function element(tag: string, className: string, text = ''): HTMLElement {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/** A message of the user. */
export function userMessage(text: string): HTMLElement {
  const message = element('div', 'message user');
  message.append(element('span', 'who', 'You'), element('div', 'text', text));
  return message;
}

/** An answer that grows: thoughts, which can be folded away, the text, calls of tools, and its facts. */
export class AnswerView {
  readonly element = element('div', 'message');
  readonly #thoughts = document.createElement('details');
  readonly #thoughtsText = element('div', 'thoughts');
  readonly #text = element('div', 'text');
  readonly #calls = element('div', '');
  readonly #facts = element('div', 'facts');
  readonly #callTexts: HTMLElement[] = [];

  constructor(name: string) {
    const summary = document.createElement('summary');
    summary.textContent = 'Thoughts';
    this.#thoughts.append(summary, this.#thoughtsText);
    this.#thoughts.hidden = true;
    this.#thoughts.open = true;
    const who = element('span', 'who', name);
    this.element.append(who, this.#thoughts, this.#text, this.#calls, this.#facts);
  }

  get text(): string {
    return this.#text.textContent ?? '';
  }

  add(delta: Delta): void {
    const thought = delta.reasoning_content ?? delta.reasoning ?? '';
    if (thought !== '') {
      this.#thoughts.hidden = false;
      this.#thoughtsText.append(thought);
    }
    if (delta.content) {
      if (this.text === '') this.#thoughts.open = false;
      this.#text.append(delta.content);
    }
    for (const call of delta.tool_calls ?? []) this.#call(call);
  }

  facts(text: string): void {
    this.#facts.textContent = text;
  }

  fail(message: string): void {
    const error = element('div', 'error', message);
    error.setAttribute('role', 'alert');
    this.element.append(error);
  }

  #call(call: NonNullable<Delta['tool_calls']>[number]): void {
    let view = this.#callTexts[call.index];
    if (view === undefined) {
      view = element('div', 'call');
      this.#callTexts[call.index] = view;
      this.#calls.append(view);
    }
    if (call.function?.name) view.append(`${call.function.name} `);
    view.append(call.function?.arguments ?? '');
  }
}
