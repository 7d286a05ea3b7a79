/**
 * Which of two opposite vectors stands for their line: the one whose product with a fixed vector is positive. The fixed
 * vector's entries are no simple multiples of each other, so that vectors of simple matrices, (1, -1) or (1, 0) say, are
 * far from perpendicular to it; away from there the choice is smooth.
 */

const golden = (Math.sqrt(5) - 1) / 2;

/** Entry i of the fixed vector: from 1 to 2. */
export const orientationWeight = (i: number): number => 1 + (((i + 1) * golden) % 1);
