import { accumulateOutputs, accumulateSeenOutputs, valuesAreFinite } from './outputs';
import { computeFewScores } from './few-scores';
import { attendNatively } from './native';
import { computeScores } from './scores';
import { updateSoftmax } from './softmax';
import { fewRows, nativeTile } from './tile';

/**
 * Adds the first `tokens` decoded keys and values to what the tile has attended to. `masked`: key t
 * is number `position + t` of its request, and rows see it only below their limit.
 */
export function attendBlock(tokens: i32, masked: bool, position: i32): void {
  // Values that only some rows see need care where they are no numbers: the way below takes it.
  if (nativeTile && !(masked && !valuesAreFinite(tokens))) {
    attendNatively(tokens, masked, position);
    return;
  }
  if (fewRows) computeFewScores(tokens);
  else computeScores(tokens);
  updateSoftmax(tokens, masked, position);
  if (masked && !valuesAreFinite(tokens)) accumulateSeenOutputs(tokens, position);
  else accumulateOutputs(tokens);
}
