/** Factorisations and solutions of matrices. */
import { determinants } from './linalg/determinants.ts';
import { factorisations } from './linalg/factorisations.ts';
import { solutions } from './linalg/solutions.ts';
import { spectra } from './linalg/spectra.ts';

export const linalg = { ...solutions, ...determinants, ...factorisations, ...spectra };
