/** The most tokens of a row whose log-probabilities are given beside that of the token drawn. */
export const maxTopLogprobs = 64;
