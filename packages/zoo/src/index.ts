/** @infinigrad/zoo: models, and recipes that train them. */
export * from './core/index.ts';
export * from './llama/index.ts';
export * from './gpt2/index.ts';
export * from './gpt-neo/index.ts';
export * from './generation/index.ts';
export * from './objectives/index.ts';
export * from './t5/index.ts';
export * from './glm/index.ts';
export * from './infini/config.ts';
export * from './infini/memory.ts';
export * from './infini/attention.ts';
export * from './infini/model.ts';
export * from './passkey/task.ts';
export * from './passkey/recipe.ts';
export * from './passkey/trainer.ts';
export * from './passkey/evaluate.ts';
