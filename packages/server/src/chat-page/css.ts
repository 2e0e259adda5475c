export const css = `
:root {
  color-scheme: light dark;
  --back: light-dark(#fff, #16181c);
  --text: light-dark(#1a1c1f, #e8e9eb);
  --quiet: light-dark(#5c6168, #a2a8b0);
  --line: light-dark(#d5d8dc, #363a41);
  --user: light-dark(#e9f0fb, #22324a);
  --main: light-dark(#1d5fc4, #7fb0ff);
  --on-main: light-dark(#fff, #10141b);
  --error: light-dark(#b3261e, #ff9a92);
}
* { box-sizing: border-box; }
body {
  margin: 0 auto;
  max-width: 52rem;
  height: 100dvh;
  padding: 0 1rem;
  display: flex;
  flex-direction: column;
  font: 1rem/1.5 system-ui, sans-serif;
  background: var(--back);
  color: var(--text);
}
header { display: flex; align-items: center; justify-content: space-between; gap: 1rem; padding: .75rem 0; }
h1 { margin: 0; font-size: 1.1rem; overflow-wrap: anywhere; }
button {
  font: inherit;
  min-height: 2.75rem;
  padding: 0 1rem;
  border: 1px solid var(--line);
  border-radius: .5rem;
  background: var(--back);
  color: var(--text);
  cursor: pointer;
}
#send { background: var(--main); border-color: var(--main); color: var(--on-main); }
button:disabled { opacity: .6; cursor: default; }
:focus-visible { outline: 2px solid var(--main); outline-offset: 2px; }
textarea, input {
  font: inherit;
  width: 100%;
  padding: .5rem .75rem;
  border: 1px solid var(--line);
  border-radius: .5rem;
  background: var(--back);
  color: var(--text);
}
textarea { resize: vertical; }
summary { cursor: pointer; color: var(--quiet); min-height: 1.75rem; }
#settings label { display: block; margin: .5rem 0; color: var(--quiet); }
#log { flex: 1; overflow-y: auto; padding: .5rem 0; }
.message { margin: 0 0 1rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.user { margin-left: 15%; padding: .5rem .75rem; border-radius: .75rem; background: var(--user); }
.who { display: block; font-size: .8rem; color: var(--quiet); }
.thoughts { color: var(--quiet); border-left: 3px solid var(--line); padding-left: .75rem; margin: .25rem 0; }
.call { font-family: ui-monospace, monospace; font-size: .9rem; border: 1px solid var(--line); border-radius: .5rem; padding: .5rem .75rem; margin: .25rem 0; }
.facts { font-size: .8rem; color: var(--quiet); }
.error { color: var(--error); }
#form { display: flex; gap: .5rem; align-items: end; padding: .5rem 0; }
#text { flex: 1; max-height: 40dvh; }
#status { margin: 0; min-height: 1.75rem; font-size: .85rem; color: var(--quiet); }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
[hidden] { display: none; }
`;
