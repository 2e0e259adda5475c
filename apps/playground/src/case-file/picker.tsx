import { useSignal } from '@preact/signals';
import { recordedCaseNames } from 'flash-mla/cases';
import type { Settings } from '../settings/settings.ts';
import { change, deviceState, settings } from '../state.ts';
import { runCase } from './case-state.ts';

/** A file to drop or choose, or one of the library's own. */
export function Picker() {
  const isOver = useSignal(false);
  const isOpen = deviceState.value.kind === 'open';
  const take = (files: FileList | null | undefined) => {
    const file = files?.[0];
    if (file) void runCase({ file });
  };
  const onDragOver = (event: DragEvent) => {
    event.preventDefault();
    isOver.value = true;
  };
  const onDrop = (event: DragEvent) => {
    event.preventDefault();
    isOver.value = false;
    take(event.dataTransfer?.files);
  };
  return (
    <div class="case-picker">
      <label
        class={isOver.value ? 'drop over' : 'drop'}
        onDragOver={onDragOver}
        onDragLeave={() => {
          isOver.value = false;
        }}
        onDrop={onDrop}
      >
        <input
          type="file"
          accept=".safetensors"
          disabled={!isOpen}
          onChange={(event) => {
            take(event.currentTarget.files);
            // The same file may be chosen again.
            event.currentTarget.value = '';
          }}
        />
        <b>Drop a case file here</b>
        <span>or choose one (.safetensors)</span>
      </label>
      <div class="example">
        <label for="example">No file at hand?</label>
        <select
          id="example"
          value={settings.value.example}
          onChange={(event) =>
            change({ example: event.currentTarget.value as Settings['example'] })
          }
        >
          {recordedCaseNames.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
        <button
          type="button"
          disabled={!isOpen}
          onClick={() => void runCase({ bundled: settings.value.example })}
        >
          Run this example
        </button>
      </div>
    </div>
  );
}
