/** A kernel in WGSL on the device and the buffers of gpu.js. */
import type { Compiled } from '../device.ts';
import type { RawBuffer, RawDevice, RawPipeline } from '../gpujs.ts';

const uniform = 0x40;
const copyTo = 0x08;

export class OwnKernel implements Compiled {
  readonly length: number;
  readonly #device: RawDevice;
  readonly #workgroups: readonly [number, number, number];
  readonly #pipeline: Promise<RawPipeline>;
  /** Four u32. Writes to it and launches are done in the order in which they were asked for. */
  readonly #numbers: RawBuffer;

  constructor(
    device: RawDevice,
    code: string,
    workgroups: readonly [number, number, number],
    length: number,
  ) {
    this.#device = device;
    this.#workgroups = workgroups;
    this.length = length;
    this.#numbers = device.createBuffer({ size: 16, usage: uniform | copyTo });
    const module = device.createShaderModule({ code });
    this.#pipeline = device.createComputePipelineAsync({
      layout: 'auto',
      compute: { module, entryPoint: 'main' },
    });
    // Whoever launches it is told.
    this.#pipeline.catch(() => {});
  }

  async launch(inputs: readonly RawBuffer[], out: RawBuffer, numbers: readonly number[]): Promise<void> {
    const device = this.#device;
    const pipeline = await this.#pipeline;
    device.queue.writeBuffer(
      this.#numbers,
      0,
      Uint32Array.from({ length: 4 }, (_, i) => numbers[i] ?? 0),
    );
    const entries = [...inputs, out, this.#numbers].map((buffer, binding) => ({
      binding,
      resource: { buffer },
    }));
    const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(...this.#workgroups);
    pass.end();
    device.queue.submit([encoder.finish()]);
  }

  destroy(): void {
    this.#numbers.destroy();
  }
}
