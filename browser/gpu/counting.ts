/** What lives on the GPU, counted where the browser makes and deletes it; and what it is told. */

const kinds = ['Texture', 'Program', 'Shader', 'Framebuffer', 'Buffer'] as const;

export const alive: Record<string, number> = {};
export const sources: string[] = [];
const contexts: WebGL2RenderingContext[] = [];

type Methods = Record<string, (...args: unknown[]) => unknown>;

function around(methods: Methods, name: string, after: (self: unknown, args: unknown[]) => void): void {
  const method = methods[name]!;
  methods[name] = function (this: unknown, ...args: unknown[]) {
    const result = method.apply(this, args);
    after(this, args);
    return result;
  };
}

function countWebGl(methods: Methods): void {
  for (const kind of kinds) {
    alive[kind] = 0;
    const gone = new WeakSet();
    around(methods, `create${kind}`, () => alive[kind]!++);
    around(methods, `delete${kind}`, (_, [object]) => {
      if (!object || gone.has(object)) return;
      gone.add(object);
      alive[kind]!--;
    });
  }
  around(methods, 'shaderSource', (_, [, text]) => sources.push(text as string));
  around(methods, 'createBuffer', (self) => {
    const context = self as WebGL2RenderingContext;
    if (!contexts.includes(context)) contexts.push(context);
  });
}

function countWebGpu(device: Methods, buffer: Methods): void {
  alive['GPUBuffer'] = 0;
  const gone = new WeakSet();
  around(device, 'createBuffer', () => alive['GPUBuffer']!++);
  around(buffer, 'destroy', (self) => {
    if (gone.has(self as object)) return;
    gone.add(self as object);
    alive['GPUBuffer']!--;
  });
}

/** From now on; nothing is counted outside of browsers. */
export function countObjects(mode: string): void {
  const there = globalThis as unknown as Record<string, { readonly prototype: Methods } | undefined>;
  if (mode === 'webgpu') countWebGpu(there['GPUDevice']!.prototype, there['GPUBuffer']!.prototype);
  if (mode === 'webgl2') countWebGl(there['WebGL2RenderingContext']!.prototype);
}

/** From now on textures seem to have no longer sides than this. */
export function pretendSide(side: number): void {
  const methods = WebGL2RenderingContext.prototype as unknown as Methods;
  const method = methods['getParameter']!;
  methods['getParameter'] = function (this: unknown, name: unknown) {
    return name === WebGL2RenderingContext.MAX_TEXTURE_SIZE ? side : method.call(this, name);
  };
}

/** Asks WebGL for what there is not. */
export function offend(): void {
  contexts.at(-1)!.enable(0x1234);
}
