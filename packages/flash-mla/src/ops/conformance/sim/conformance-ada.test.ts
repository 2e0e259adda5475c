import { itPassesTheQuickSuite } from '../testing/quick-suite.ts';

// Ada runs Ampere's kernels with less shared memory: a part of the cases shows that their tiles fit.
itPassesTheQuickSuite('sim:1', 3);
