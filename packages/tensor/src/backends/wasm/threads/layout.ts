/** Where things are in the memory that threads share for their jobs, in 32-bit words. */

/** Lanes of a job at most. The same for any number of threads, so that results do not depend on that. */
export const mostLanes = 8;
/** Modules that helper threads can be told of. */
export const mostModules = 4096;
/** Characters of an error message. */
export const messageWords = 200;
export const laneWords = 8;

const message = 16;
const lanes = message + messageWords;
const modules = lanes + mostLanes * laneWords;

export const field = {
  /** Grows by one with each job. */
  generation: 0,
  /** Helper threads that are up, and those that sleep. */
  ready: 1,
  asleep: 2,
  /** The job: a module's number, its kernel's number, the numbers of each call, its lanes. */
  module: 3,
  kernel: 4,
  width: 5,
  lanesOfJob: 6,
  messageLength: 7,
  message,
  /** The lanes; each has, at these places: 1 while it can be claimed; 1 when it is done, -1 when it went wrong; its calls. */
  lanes,
  open: 0,
  finished: 1,
  first: 2,
  calls: 3,
  /** For each module: where its bytes start, and how many there are. */
  modules,
} as const;

export const controlWords = modules + 2 * mostModules;
/** Bytes of all modules together. */
export const codeBytes = 16 * 2 ** 20;
/** Numbers of all calls of one job. */
export const argumentSlots = 65536;
