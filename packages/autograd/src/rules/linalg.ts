/** Derivatives: factorisations and solutions of matrices. */
import { factorisations } from './linalg/factorisations.ts';
import { solutions } from './linalg/solutions.ts';
import { spectra } from './linalg/spectra.ts';

export const linalg = { ...solutions, ...factorisations, ...spectra };
