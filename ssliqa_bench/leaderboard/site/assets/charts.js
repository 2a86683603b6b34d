/* Charts: intervals in table cells, scatter with its fitted curve, curves of logs (uPlot). */
"use strict";
const Charts = (() => {
  const { h, svg, fixed, hint } = Site;
  const series = (k) => getComputedStyle(document.documentElement).getPropertyValue(`--series-${(k % 5) + 1}`).trim();

  /* A point with its interval on a scale; the numbers beside it say the same. */
  function interval(figures, low, high) {
    const [value, , lo, hi] = figures;
    const x = (v) => 4 + 96 * (Math.min(Math.max(v, low), high) - low) / (high - low);
    const zero = low < 0 ? svg("line", { class: "axis", x1: x(0), x2: x(0), y1: 0, y2: 12 }) : null;
    return svg("svg", { class: "bar-ci", viewBox: "0 0 104 12", "aria-hidden": "true" },
      svg("line", { class: "axis", x1: 4, x2: 100, y1: 6, y2: 6 }), zero,
      lo === null ? null : svg("line", { x1: x(lo), x2: x(hi), y1: 6, y2: 6 }),
      svg("circle", { cx: x(value), cy: 6, r: 3 }));
  }

  function ticks(low, high) {
    const rough = (high - low) / 5 || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
    const found = [];
    for (let v = Math.ceil(low / step) * step; v <= high + step / 1e6; v += step) found.push(Number(v.toPrecision(12)));
    return found;
  }

  /* Predictions against scores; a point shows its image on hover, on focus and to screen readers. */
  function scatter({ x, at, curve, images }) {
    const width = 560, height = 420, left = 56, bottom = 48, top = 12, right = 14;
    const points = x.map((value, k) => ({ x: value, y: images.scores[at[k]], name: images.names[at[k]] }));
    const range = (values) => {
      const low = Math.min(...values), high = Math.max(...values), pad = (high - low || 1) * 0.04;
      return [low - pad, high + pad];
    };
    const [x0, x1] = range(points.map((p) => p.x));
    const [y0, y1] = range([...points.map((p) => p.y), ...curve.map((p) => p[1])]);
    const sx = (v) => left + (width - left - right) * (v - x0) / (x1 - x0);
    const sy = (v) => height - bottom - (height - bottom - top) * (v - y0) / (y1 - y0);
    const label = (v) => String(Number(v.toPrecision(6)));
    const plot = svg("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "group",
      "aria-label": `Scatter of ${points.length} test images: score against prediction. Arrow keys move between images.` });
    for (const v of ticks(x0, x1)) plot.append(svg("line", { class: "rule", x1: sx(v), x2: sx(v), y1: top, y2: height - bottom }),
      svg("text", { x: sx(v), y: height - bottom + 18, "text-anchor": "middle" }, label(v)));
    for (const v of ticks(y0, y1)) plot.append(svg("line", { class: "rule", x1: left, x2: width - right, y1: sy(v), y2: sy(v) }),
      svg("text", { x: left - 8, y: sy(v) + 4, "text-anchor": "end" }, label(v)));
    plot.append(svg("rect", { class: "frame", x: left, y: top, width: width - left - right, height: height - top - bottom }),
      svg("text", { x: (left + width - right) / 2, y: height - 8, "text-anchor": "middle" }, "prediction"),
      svg("text", { x: 14, y: (top + height - bottom) / 2, "text-anchor": "middle", transform: `rotate(-90 14 ${(top + height - bottom) / 2})` }, "score"));
    const ordered = [...points].sort((a, b) => a.x - b.x);
    const circles = ordered.map((p, k) => {
      const text = `${p.name}: score ${label(p.y)}, prediction ${label(p.x)}`;
      return svg("circle", { cx: sx(p.x).toFixed(1), cy: sy(p.y).toFixed(1), r: points.length > 600 ? 2.5 : 4, role: "img",
        "aria-label": text, tabindex: k ? -1 : 0, onmouseenter: (e) => hint(text, e.target), onmouseleave: () => hint(""),
        onfocus: (e) => hint(text, e.target), onblur: () => hint("") });
    });
    plot.append(...circles);
    plot.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
      const at = circles.indexOf(document.activeElement);
      if (!step || at < 0) return;
      event.preventDefault();
      const to = circles[(at + step + circles.length) % circles.length];
      circles[at].setAttribute("tabindex", -1);
      to.setAttribute("tabindex", 0);
      to.focus();
    });
    if (curve.length) {
      const path = curve.map(([a, b], k) => `${k ? "L" : "M"}${sx(a).toFixed(1)} ${sy(b).toFixed(1)}`).join("");
      plot.append(svg("path", { class: "fit", d: path, "pointer-events": "none" }));
    }
    return plot;
  }

  /* Logged numbers of a stage over its epochs; `names` share one axis. */
  function logs(stage, names) {
    const log = Object.fromEntries(names.map((name) => [name, Site.unpack(stage.log[name])]));
    const holder = h("div", { role: "img", "aria-label": `${names.join(", ")} over ${log[names[0]].length} epochs, from ` +
      names.map((name) => `${fixed(log[name][0], 4)} to ${fixed(log[name].at(-1), 4)}`).join(", ") });
    const ink = getComputedStyle(document.documentElement).getPropertyValue("--soft").trim();
    const line = getComputedStyle(document.documentElement).getPropertyValue("--line").trim();
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line }, font: "12px system-ui" };
    const epochs = log[names[0]].map((_, k) => k + 1);
    requestAnimationFrame(() => {
      const wide = Math.max(260, holder.clientWidth || 480);
      new uPlot({ width: wide, height: 240, scales: { x: { time: false } }, axes: [{ ...axis, label: "epoch", labelSize: 18 }, { ...axis, size: 62 }],
        series: [{ label: "epoch" }, ...names.map((name, k) => ({ label: name, stroke: series(k), width: 2, dash: k % 2 ? [6, 3] : [], points: { show: epochs.length < 40, size: 5 } }))],
      }, [epochs, ...names.map((name) => log[name])], holder);
    });
    return holder;
  }

  return { interval, scatter, logs, ticks };
})();
