/** What the tests share: how many cases a law is tried on. */
const wanted = Number(process.env['INFINIGRAD_RUNS'] ?? 100);

/** Generated cases for each law; INFINIGRAD_RUNS raises it. */
export const runs = Math.max(100, Number.isFinite(wanted) ? wanted : 100);
