import type { Command } from 'commander';
import { hanging } from './wrap.ts';

/** A paragraph under the options of a command; with a label before it, its lines line up behind that. */
export type Note = string | readonly [label: string, text: string];

/** Adds paragraphs to a command's help, wrapped to the width that the rest of it has. */
export function addNotes(command: Command, notes: readonly Note[]): Command {
  return command.addHelpText('after', () => {
    const width = command.configureOutput().getOutHelpWidth?.();
    const lines = notes.map((note) => {
      const [label, text] = typeof note === 'string' ? ['', note] : note;
      return hanging(label, text, width);
    });
    return `\n${lines.join('\n')}`;
  });
}
