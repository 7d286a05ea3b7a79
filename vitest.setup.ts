/**
 * Every run of the tests draws the same cases, so that one that passes passes again. INFINIGRAD_SEED draws others: a number, or
 * `random`, as deep runs do.
 */
import fc from 'fast-check';

const given = process.env['INFINIGRAD_SEED'] ?? '20260101';
if (given !== 'random') fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(given) });
