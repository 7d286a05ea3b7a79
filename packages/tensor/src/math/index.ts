/** Special functions of numbers: what the backends call where an expression of the scalar language names them. */
import { besselI, besselIe } from './bessel.ts';
import { erf, erfc, erfcx, erfinv, logNdtr, ndtr, ndtri } from './error-function.ts';
import { digamma, lgamma, polygamma } from './gamma.ts';
import { gammainc, gammaincc } from './incomplete-gamma.ts';
import { sinc } from './sinc.ts';

export const specialFunctions = {
  erf,
  erfc,
  erfcx,
  erfinv,
  ndtr,
  ndtri,
  logNdtr,
  lgamma,
  digamma,
  polygamma,
  sinc,
  besselI,
  besselIe,
  gammainc,
  gammaincc,
};
