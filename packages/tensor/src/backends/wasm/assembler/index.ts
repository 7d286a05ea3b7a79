/** A small typed WebAssembly assembler. */
export type { Action, Callee, Local, Value, ValueType } from './code.ts';
export * from './instructions.ts';
export { FunctionBuilder, type Label } from './function.ts';
export { importModule, ModuleBuilder, type HostFunction } from './module.ts';
export { allI32, parameters } from './parameters.ts';
