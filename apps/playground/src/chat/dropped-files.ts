/** Files of a model: texts and weights. What else a folder holds is not looked at. */
const known = /\.(json|jinja|safetensors)$/;

/** The files of a model among those that were chosen: in the folder that has a config.json, if there is one. */
export function modelFilesOf(files: readonly PlacedFile[]): { name: string; files: File[] } {
  const config = files.find(({ path }) => /(^|\/)config\.json$/.test(path));
  const folder = config?.path.slice(0, -'config.json'.length) ?? '';
  const own = files.filter(
    ({ path }) => path.startsWith(folder) && !path.slice(folder.length).includes('/'),
  );
  const name = folder.split('/').at(-2) ?? 'model';
  return { name, files: own.map(({ file }) => file).filter((file) => known.test(file.name)) };
}

/** A file and where it was found. */
export interface PlacedFile {
  readonly path: string;
  readonly file: File;
}

/** Of an input element, whose files know their folder. */
export function chosenFiles(files: Iterable<File>): PlacedFile[] {
  return [...files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

/** Of a drop, folders opened. Must be called while the event is handled. */
export async function droppedFiles({ items, files }: DataTransfer): Promise<PlacedFile[]> {
  const entries = [...items].map((item) => item.webkitGetAsEntry());
  const loose = chosenFiles(files);
  if (!entries.some((entry) => entry?.isDirectory)) return loose;
  const found: PlacedFile[] = [];
  for (const entry of entries) if (entry) await collect(entry, '', found);
  return found;
}

async function collect(entry: FileSystemEntry, folder: string, into: PlacedFile[]): Promise<void> {
  const path = `${folder}${entry.name}`;
  if (entry.isFile) {
    const { file } = entry as FileSystemFileEntry;
    into.push({ path, file: await new Promise((done, fail) => file.call(entry, done, fail)) });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // A browser gives some at a time, and none at the end.
    const some = await new Promise<FileSystemEntry[]>((done, fail) =>
      reader.readEntries(done, fail),
    );
    if (some.length === 0) return;
    for (const each of some) await collect(each, `${path}/`, into);
  }
}
