/** What training reads batches from, and can leave and go on with. */

/** What a cursor is saved as. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/**
 * Batches (or whatever) that can be left at any place and gone on with. Iterating gives what is left of an epoch; when it has
 * ended, the next iteration gives the next epoch. One iteration at a time.
 */
export interface DataSource<T> extends AsyncIterable<T> {
  /** Where it stands: after the last item that an iteration has given. */
  state(): Json;
  /** Goes on from a state. @throws ValueError for one of another source; nothing is then changed */
  load(state: Json): void;
}

/** True for what has a cursor. */
export function isDataSource<T>(data: DataSource<T> | AsyncIterable<T> | Iterable<T>): data is DataSource<T> {
  const { state, load } = data as Partial<DataSource<T>>;
  return typeof state === 'function' && typeof load === 'function';
}
