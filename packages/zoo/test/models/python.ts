/** The Python that live comparisons run. */
import { spawnSync } from 'node:child_process';

/** The one that INFINIGRAD_PYTHON names, if it has these modules; else none, and the reason is printed. */
export function pythonWith(...modules: readonly string[]): string | undefined {
  const python = process.env['INFINIGRAD_PYTHON'];
  const script =
    'import sys, importlib.util as u; sys.exit(not all(u.find_spec(name) for name in sys.argv[1:]))';
  if (python && spawnSync(python, ['-c', script, ...modules]).status === 0) return python;
  console.log(`skipped: INFINIGRAD_PYTHON names no Python that has ${modules.join(' and ')}`);
  return undefined;
}
