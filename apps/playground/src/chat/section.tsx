import { digits, milliseconds } from '../widgets/format.ts';
import { Stat } from '../widgets/stat.tsx';
import { model, times } from './chat-state.ts';
import { Composer } from './composer.tsx';
import { ChatControls } from './controls.tsx';
import { Conversation } from './conversation.tsx';

/** A language model that runs here, on the open device. */
export function ChatSection() {
  return (
    <section id="chat" aria-labelledby="chat-title">
      <h2 id="chat-title">Chat</h2>
      <p class="lead">
        A whole language model on the open device: weights and cache in bf16, token by token, with
        the engine that serves many requests. Nothing of the conversation leaves this page.
      </p>
      <div class="split wide-left">
        <div>
          <Figures />
          <Conversation />
          <Composer />
        </div>
        <ChatControls />
      </div>
    </section>
  );
}

function Figures() {
  const [now, loaded] = [times.value, model.value];
  const hasRate = now !== undefined && now.tokensPerSecond > 0;
  return (
    <dl class="figures" id="chat-figures">
      <Stat
        main
        label="Generated"
        value={hasRate ? digits(now.tokensPerSecond) : '–'}
        unit="tokens/s"
        hint={now ? `${now.tokens} tokens` : 'behind the first token'}
      />
      <Stat
        label="First token"
        value={now && now.tokens > 0 ? milliseconds(now.firstTokenMs) : '–'}
        hint="with reading the conversation"
      />
      <Stat
        label="Model loaded"
        value={loaded ? milliseconds(loaded.loadMs) : '–'}
        hint="fetched, checked, on the device"
      />
    </dl>
  );
}
