/** The account of what tensors hold in memory. */

/**
 * `scoped`: given back when the scope it was made in ends. `pinned`: parameters, and what else lives until it is
 * replaced. `free`: everything else; given back when nothing leads to it any more.
 */
export type Tier = 'scoped' | 'free' | 'pinned';

export interface MemoryStats {
  /** Bytes in buffers not yet given back. */
  readonly bytes: number;
  /**
   * Those bytes by tier. A buffer of the free tier leaves the count when the garbage collector has told, or when it is moved
   * out of the wasm heap, where only the garbage collector sees it.
   */
  readonly tiers: Readonly<Record<Tier, number>>;
  /** The highest that `bytes` has been. */
  readonly peakBytes: number;
  /** Buffers behind `bytes`. */
  readonly buffers: number;
  /** Buffers allocated since the start. */
  readonly allocations: number;
  /** Bytes allocated since the start. */
  readonly allocatedBytes: number;
}

/** Buffers of one origin, in a memory report. */
export interface MemoryReportLine {
  readonly tier: Tier;
  /** The op or function that made the buffers. */
  readonly madeBy: string;
  /** Where it was called. */
  readonly site: string;
  readonly buffers: number;
  readonly bytes: number;
}

interface Living {
  tier: Tier;
  readonly madeBy: string;
  readonly site: string;
  readonly bytes: number;
}

const tiers: Record<Tier, number> = { scoped: 0, free: 0, pinned: 0 };
const totals = { peakBytes: 0, buffers: 0, allocations: 0, allocatedBytes: 0 };
const living = new Map<number, Living>();
let debugging = false;

/** An entry of the account: plain data that does not lead to the buffer. */
export interface Entry {
  readonly id: number;
  readonly bytes: number;
  tier: Tier;
  open: boolean;
}

export function openEntry(bytes: number, tier: Tier, madeBy: string, site: string | null): Entry {
  const id = totals.allocations++;
  totals.allocatedBytes += bytes;
  totals.buffers++;
  tiers[tier] += bytes;
  totals.peakBytes = Math.max(totals.peakBytes, tiers.scoped + tiers.free + tiers.pinned);
  if (site !== null) living.set(id, { tier, madeBy, site, bytes });
  return { id, bytes, tier, open: true };
}

export function moveEntry(entry: Entry, tier: Tier): void {
  if (entry.tier === tier) return;
  if (entry.open) {
    tiers[entry.tier] -= entry.bytes;
    tiers[tier] += entry.bytes;
  }
  entry.tier = tier;
  const known = living.get(entry.id);
  if (known) known.tier = tier;
}

/** Counts a closed entry again. */
export function reopenEntry(entry: Entry): void {
  if (entry.open) return;
  entry.open = true;
  tiers[entry.tier] += entry.bytes;
  totals.buffers++;
}

export function closeEntry(entry: Entry): void {
  if (!entry.open) return;
  entry.open = false;
  tiers[entry.tier] -= entry.bytes;
  totals.buffers--;
  living.delete(entry.id);
}

/** What tensors hold in memory, over all backends. */
export function memoryStats(): MemoryStats {
  return { ...totals, bytes: tiers.scoped + tiers.free + tiers.pinned, tiers: { ...tiers } };
}

/**
 * With memory debugging on, every buffer remembers where it was made: errors about tensors whose scope has ended name the
 * place, and `memoryReport` lists the survivors. Slow; off unless told.
 */
export function setMemoryDebug(on: boolean): void {
  debugging = on;
  if (!on) living.clear();
}

/** Stack lines inside the framework. */
const ours = /[/\\]packages[/\\](tensor|autograd)[/\\](src|dist)[/\\]|@infinigrad[/\\](tensor|autograd)[/\\]/;

/** Where the user's code is now, or null with memory debugging off. */
export function currentSite(): string | null {
  if (!debugging) return null;
  const lines = (new Error('site').stack ?? '').split('\n').slice(1);
  const outside = lines.find((line) => !ours.test(line) && !line.includes('<anonymous>'));
  return (outside ?? lines.at(-1) ?? 'an unknown place').trim().replace(/^at /, '');
}

/** Buffers made since memory debugging was turned on that are still there, by origin, the largest first. */
export function memoryReport(): MemoryReportLine[] {
  const lines = new Map<
    string,
    { tier: Tier; madeBy: string; site: string; buffers: number; bytes: number }
  >();
  for (const { tier, madeBy, site, bytes } of living.values()) {
    const key = `${tier} ${madeBy} ${site}`;
    const line = lines.get(key) ?? { tier, madeBy, site, buffers: 0, bytes: 0 };
    line.buffers++;
    line.bytes += bytes;
    lines.set(key, line);
  }
  return [...lines.values()].sort((a, b) => b.bytes - a.bytes);
}
