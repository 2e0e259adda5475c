import { InvalidRequestError } from '../errors.ts';

export const token = { min: 0, max: 2 ** 31 - 1 };

export function invalid(id: unknown, name: string, expected: string, actual: unknown) {
  const subject = `${name} of request ${JSON.stringify(id)}`;
  const remedy = 'Correct the request.';
  return new InvalidRequestError({ subject, expected, actual: String(actual), remedy });
}
