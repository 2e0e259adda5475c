export { table } from './instructions/table.ts';
