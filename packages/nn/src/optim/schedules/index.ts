/** Learning-rate schedules: functions from the step to a factor. */
export * from './decay.ts';
export * from './cycles.ts';
export * from './compose.ts';
