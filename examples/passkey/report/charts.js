// Draws the charts of report.html; drawn anew when the window's width or the colour scheme changes.
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const holders = [...document.querySelectorAll('[data-chart]')];
  const dark = matchMedia('(prefers-color-scheme: dark)');
  let plots = [];

  const isLength = (name) => name === 'exactMatch' || name === 'digits';
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const length = (n) => (n >= 1024 && n % 1024 === 0 ? `${n / 1024}k` : String(n));

  function options(name, { x, lines }, width) {
    const axis = {
      stroke: colour('--faint'),
      grid: { stroke: colour('--line'), width: 1 },
      ticks: { stroke: colour('--line') },
    };
    const byLength = isLength(name);
    return {
      width,
      height: 280,
      cursor: { drag: { x: !byLength, y: false } },
      scales: {
        x: byLength
          ? { time: false, distr: 3, log: 2, range: (_, a, b) => (a === b ? [a / 2, b * 2] : [a, b]) }
          : { time: false },
        y:
          name === 'loss'
            ? { range: (_, __, max) => [0, Math.max(max ?? 1, 1e-6) * 1.05] }
            : { range: [-0.02, 1.04] },
      },
      axes: [
        {
          ...axis,
          label: byLength ? 'tokens' : 'step',
          ...(byLength && {
            splits: () => x,
            filter: (_, splits) => splits,
            values: (_, splits) => splits.map(length),
          }),
        },
        { ...axis, label: name === 'loss' ? 'nats' : '', size: 56 },
      ],
      series: [
        { label: byLength ? 'tokens' : 'step' },
        ...lines.map((line, i) => ({
          label: line.label,
          stroke: line.dashed ? colour('--faint') : colour(`--c${i % 6}`),
          width: 2,
          spanGaps: true,
          points: { show: byLength && !line.dashed, size: 7 },
          ...(line.dashed && { dash: [6, 5] }),
          value: (_, v) => (v === null || v === undefined ? '–' : v.toPrecision(3)),
        })),
      ],
    };
  }

  function draw() {
    for (const plot of plots) plot.destroy();
    plots = holders.flatMap((holder) => {
      const name = holder.dataset.chart;
      const chart = data[name];
      holder.replaceChildren();
      if (chart.x.length === 0 || chart.lines.length === 0) {
        holder.textContent = 'Nothing recorded yet.';
        return [];
      }
      return [
        new uPlot(
          options(name, chart, holder.clientWidth),
          [chart.x, ...chart.lines.map((line) => line.y)],
          holder,
        ),
      ];
    });
  }

  draw();
  dark.addEventListener('change', draw);
  let width = innerWidth;
  addEventListener('resize', () => {
    if (innerWidth !== width) draw();
    width = innerWidth;
  });
})();
