/** Attributes as text: a key in which no two differ that mean the same, and no two look alike that do not. */
import type { Attrs, AttrValue } from './record.ts';

/** JSON knows neither the infinities nor NaN nor -0. */
const exact = (_: string, value: AttrValue): AttrValue =>
  typeof value === 'number' ? (Object.is(value, -0) ? '-0' : String(value)) : value;

/** The attributes of a call as text; empty where there are none. */
export function attrsText(attrs: Attrs): string {
  for (const _ in attrs) return JSON.stringify(attrs, exact);
  return '';
}
