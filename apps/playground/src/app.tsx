import { CaseFileSection } from './case-file/section.tsx';
import { ChatSection } from './chat/section.tsx';
import { DecodeSection } from './decode/section.tsx';
import { DevicesSection } from './devices/section.tsx';
import { Header } from './header.tsx';
import { SelfTestSection } from './self-test/section.tsx';
import { linkProblems } from './state.ts';

export function App() {
  return (
    <>
      <a class="skip" href="#devices">
        Skip to the devices
      </a>
      <Header />
      <main>
        {linkProblems.length > 0 && (
          <p class="problem" role="alert">
            The link that brought you here is not quite right: {linkProblems.join('; ')}. The
            defaults stand in.
          </p>
        )}
        <DevicesSection />
        <ChatSection />
        <DecodeSection />
        <CaseFileSection />
        <SelfTestSection />
      </main>
      <footer>
        <p>
          Everything runs here, in your browser: no data leaves this page.{' '}
          <span class="nowrap">MIT licence.</span>
        </p>
      </footer>
    </>
  );
}
