import { defineRecord } from '../commands/schema.ts';

/** What a command begins with: the words through which its threads work together; 0 when it is enqueued. */
export const commandHead = defineRecord('CommandHead', {
  /** Items of the command's first and second loop that are taken. */
  item: 'atomic',
  secondItem: 'atomic',
  /** Of a barrier: threads that wait, and how often all came. */
  arrived: 'atomic',
  generation: 'atomic',
  /** What is wrong with data on the device; 0: nothing. */
  errorCode: 'atomic',
  errorRow: 'i32',
  errorColumn: 'i32',
  errorValue: 'i32',
  /** Threads that have finished the command. */
  finished: 'atomic',
  /** Which command it is. */
  operation: 'i32',
  /** First the scratch of each thread, then what threads share. */
  workspace: 'usize',
});
