import { useSignal } from '@preact/signals';
import { bytes, count } from '../widgets/format.ts';
import { chooseModel, failure, model, phase, source } from './chat-state.ts';
import { chosenFiles, droppedFiles, modelFilesOf, type PlacedFile } from './dropped-files.ts';

/** Which model answers: the page's own, or one from a folder of the user's. */
export function ModelPicker() {
  const isOver = useSignal(false);
  const isBusy = phase.value !== 'idle';
  const take = (files: readonly PlacedFile[]) => {
    if (files.length > 0) chooseModel({ kind: 'files', ...modelFilesOf(files) });
  };
  const onDragOver = (event: DragEvent) => {
    event.preventDefault();
    isOver.value = true;
  };
  const onDrop = (event: DragEvent) => {
    event.preventDefault();
    isOver.value = false;
    if (isBusy || event.dataTransfer === null) return;
    droppedFiles(event.dataTransfer).then(take, (error: unknown) => {
      failure.value = error;
    });
  };
  return (
    <div class="model-picker">
      <Chosen />
      <label
        class={isOver.value ? 'drop small over' : 'drop small'}
        onDragOver={onDragOver}
        onDragLeave={() => {
          isOver.value = false;
        }}
        onDrop={onDrop}
      >
        <input
          type="file"
          multiple
          disabled={isBusy}
          ref={(input) => {
            // Not among the attributes that Preact knows.
            if (input) input.webkitdirectory = true;
          }}
          onChange={(event) => {
            take(chosenFiles(event.currentTarget.files ?? []));
            // The same folder may be chosen again.
            event.currentTarget.value = '';
          }}
        />
        <b>Drop a model’s folder here</b>
        <span>or choose one (config.json, tokenizer.json, *.safetensors)</span>
      </label>
    </div>
  );
}

function Chosen() {
  const [from, loaded] = [source.value, model.value];
  const facts = loaded
    ? `${loaded.family}, ${count(loaded.numLayers, 'layer')}, up to ${count(loaded.maxTokens, 'token')}`
    : sizeOf();
  return (
    <div class="model-chosen">
      <span class="label">Model</span>
      <b id="chat-model">{from.kind === 'demo' ? '@flash-mla/tales' : from.name}</b>
      <small>{facts}</small>
      {loaded?.hasTemplate === false && (
        <small>It has no chat template: it goes on with the text that it is given.</small>
      )}
      {from.kind === 'files' && (
        <button
          type="button"
          class="quiet"
          disabled={phase.value !== 'idle'}
          onClick={() => chooseModel({ kind: 'demo' })}
        >
          Back to the demo model
        </button>
      )}
    </div>
  );
}

function sizeOf(): string {
  const from = source.value;
  if (from.kind === 'demo')
    return 'demo model of 8.4 million parameters, 16.7 MB, loaded when needed';
  const size = from.files.reduce((sum, file) => sum + file.size, 0);
  return `${count(from.files.length, 'file')}, ${bytes(size)}; loaded when needed`;
}
