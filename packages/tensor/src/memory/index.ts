/** Memory: storages, scopes, and the account of them. */
export * from './account.ts';
export * from './scope.ts';
export { Storage } from './storage.ts';
