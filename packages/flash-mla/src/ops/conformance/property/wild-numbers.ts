/** Far out of every range, each in its own way. */
export const wildNumbers: readonly number[] = [
  -1,
  -123456,
  -(2 ** 31),
  2 ** 20,
  2 ** 30,
  2147480000,
  2 ** 31 - 1,
];
