/** The page: finds the backends, trains on those that are chosen, one after the other, and shows how it goes. */
import { Backend, type Place } from './backend.ts';
import { drawChart } from './chart.ts';
import { byId, html } from './dom.ts';
import { labels } from './labels.ts';
import { Losses } from './losses.ts';
import { backendNames, type BackendName, type End } from './messages.ts';
import { Results } from './results.ts';
import { sizes, trialOf, type SizeName } from './sizes.ts';

/** ?force=1&size=tiny&steps=20&seed=3&backends=wasm,webgpu&place=page: what the page begins with. */
const asked = new URLSearchParams(location.search);
const place: Place = asked.get('place') === 'page' ? 'page' : 'worker';
const wanted = asked.get('backends')?.split(',') ?? ['wasm', 'webgpu', 'webgl2'];

const [form, setup] = [byId('settings', 'form'), byId('setup', 'fieldset')];
const [start, stop] = [byId('start', 'button'), byId('stop', 'button')];
const [force, size] = [byId('force', 'input'), byId('size', 'select')];
const [steps, seed] = [byId('steps', 'input'), byId('seed', 'input')];
const [status, list] = [byId('status', 'p'), byId('backends', 'ul')];
const chart = document.querySelector<SVGSVGElement>('#chart')!;
const description = document.querySelector('#chart-description')!;
const losses = new Losses(byId('losses', 'table'));
const results = new Results(byId('results', 'table'));

interface Entry {
  readonly backend: Backend;
  readonly item: HTMLLIElement;
  readonly box: HTMLInputElement;
  readonly found: HTMLSpanElement;
}

const entries = backendNames.map((name): Entry => {
  const box = html('input', { type: 'checkbox', value: name, disabled: '' });
  const found = html('span', { class: 'found' }, 'looking …');
  const swatch = html('span', { class: 'swatch', style: `background: var(--${name})` });
  const label = html('label', {}, box, swatch, html('span', { class: 'name' }, labels[name]), found);
  box.checked = wanted.includes(name);
  return { backend: new Backend(name, place), item: html('li', { 'data-backend': name }, label), box, found };
});
list.append(...entries.map(({ item }) => item));

for (const [name, { label }] of Object.entries(sizes)) size.append(html('option', { value: name }, label));
size.value = asked.get('size') ?? 'small';
if (!(size.value in sizes)) size.value = 'small';
const sizeName = (): SizeName => size.value as SizeName;
steps.value = asked.get('steps') ?? String(sizes[sizeName()].steps);
seed.value = asked.get('seed') ?? '0';
force.checked = asked.get('force') === '1';

async function findBackends(only: readonly Entry[]): Promise<void> {
  setup.disabled = start.disabled = true;
  status.textContent = 'Looking for backends …';
  for (const { backend, item, box, found } of only) {
    const answer = await backend.find(force.checked);
    const here = 'adapter' in answer;
    found.textContent = here ? answer.adapter : `not here: ${answer.lack}`;
    if (here && backend.place === 'page') found.textContent += ' · on this page';
    found.title = found.textContent;
    item.classList.toggle('absent', !here);
    box.disabled = !here;
  }
  setup.disabled = start.disabled = false;
  status.textContent = 'Ready.';
}

let running: Backend | null = null;
let stopping = false;
/** What the x axis of the last run has to reach. */
let lastStep = Number(steps.value);
let trained: readonly BackendName[] = [];

let drawing = false;
/** Draws before the next frame, once. */
function redraw(): void {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    const bySteps = form.ownerDocument.querySelector<HTMLInputElement>('[name=axis][value=steps]')!.checked;
    const curves = trained
      .map((name) => ({
        name,
        label: labels[name],
        points: losses.stepsOf(name).map((s) => [bySteps ? s.step : s.seconds, s.loss] as const),
      }))
      .filter(({ points }) => points.length > 0);
    drawChart(chart, curves, {
      x: bySteps ? 'steps' : 'seconds',
      y: 'loss (nats)',
      xMax: bySteps ? lastStep : 1,
    });
  });
}

async function trainOn(backend: Backend): Promise<End> {
  const { name } = backend;
  const trial = trialOf(sizeName(), steps.valueAsNumber, seed.valueAsNumber);
  status.classList.remove('bad');
  status.textContent = `Training on ${labels[name]}, ${trial.recipe.steps} steps …`;
  results.state(name, name.startsWith('web') ? 'makes its kernels' : 'begins');
  const end = await backend.train(trial, {
    step: (step) => {
      losses.add(name, step);
      results.steps(name, losses.stepsOf(name), losses.difference(name));
      results.state(name, step.step < trial.recipe.steps ? 'trains' : 'answers');
      redraw();
    },
    cell: (cell) => results.cell(name, cell),
  });
  const seconds = losses.stepsOf(name).at(-1)?.seconds ?? 0;
  const where = backend.place === 'worker' ? 'in a worker' : 'on this page';
  if (end.kind === 'failed') results.state(name, 'failed', true);
  else results.state(name, `${end.kind === 'done' ? 'done' : 'stopped'} (${seconds.toFixed(1)} s, ${where})`);
  return end;
}

async function run(): Promise<void> {
  const chosen = entries.filter(({ box }) => box.checked && !box.disabled).map(({ backend }) => backend);
  if (chosen.length === 0) {
    status.textContent = 'Choose a backend.';
    return;
  }
  setup.disabled = start.disabled = true;
  stop.disabled = stopping = false;
  lastStep = steps.valueAsNumber;
  trained = chosen.map(({ name }) => name);
  losses.begin(trained);
  results.begin(trained);
  redraw();
  const failed: string[] = [];
  for (const backend of chosen) {
    if (stopping) results.state(backend.name, 'stopped before it began');
    else {
      running = backend;
      const end = await trainOn(backend);
      if (end.kind === 'failed') failed.push(`${labels[backend.name]} failed: ${end.message}.`);
    }
  }
  running = null;
  setup.disabled = start.disabled = false;
  stop.disabled = true;
  const reached = trained.map((name) => {
    const last = losses.stepsOf(name).at(-1);
    return last
      ? `${labels[name]}: ${last.loss.toFixed(3)} after ${last.step} steps`
      : `${labels[name]}: nothing`;
  });
  description.textContent = `Loss. ${reached.join('; ')}.`;
  status.textContent = [stopping ? 'Stopped.' : 'Done.', ...failed].join(' ');
  status.classList.toggle('bad', failed.length > 0);
  start.focus();
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  void run();
});
stop.addEventListener('click', () => {
  stopping = true;
  stop.disabled = true;
  status.textContent = 'Stopping after this step …';
  running?.stop();
});
size.addEventListener('change', () => (steps.value = String(sizes[sizeName()].steps)));
force.addEventListener(
  'change',
  () => void findBackends(entries.filter(({ backend: { name } }) => name.startsWith('web'))),
);
for (const axis of document.querySelectorAll('[name=axis]')) axis.addEventListener('change', redraw);
new ResizeObserver(redraw).observe(chart);
void findBackends(entries);
