import { itPassesTheQuickSuite } from '../testing/quick-suite.ts';

itPassesTheQuickSuite('sim');
