/* Boards as they are rendered in every format: sections, tables, footnotes; curves and rank diagrams beside them. */
"use strict";
const Boards = (() => {
  const { data, h, svg, fixed, href, load } = Site;
  const boards = data.boards || [];

  /* Text with names, marks and links. */
  function inline(text) {
    if (text === null || text === undefined) return "";
    if (!Array.isArray(text)) return String(text);
    return text.map((part) => {
      if (typeof part === "string") return part;
      if (part.code !== undefined) return h("code", {}, part.code);
      if (part.mark !== undefined) return h("em", {}, part.mark);
      if (/^https?:/.test(part.target)) return h("a", { href: part.target, rel: "noreferrer" }, part.link);
      if (part.file) return h("a", { href: `data/boards/${part.target}` }, part.link);
      return h("a", { href: href(["board", part.target]) }, part.link);
    });
  }
  const plain = (text) => (Array.isArray(text) ? text.map((part) => (typeof part === "string" ? part : part.code || part.mark || part.link)).join("") : String(text || ""));
  const letters = (k) => (k >= 26 ? letters(Math.floor(k / 26) - 1) : "") + String.fromCharCode(97 + (k % 26));

  function cell(own) {
    if (own === null || own === undefined) return Site.missing;
    if (typeof own !== "object" || Array.isArray(own)) return inline(own);
    const text = own.text === null || own.text === undefined ? Site.missing : inline(own.text);
    return [own.best ? h("strong", {}, text) : text, own.mark && h("span", { class: "tag" }, own.mark),
      (own.notes || []).map((k) => h("sup", {}, h("a", { href: `${location.hash}`, class: "note", "aria-label": `Note ${letters(k)}`, onclick: (event) => {
        event.preventDefault();
        const note = document.getElementById(`note-${k}`);
        note.focus();
        note.scrollIntoView({ block: "center" });
      } }, letters(k))))];
  }
  function table(block, name) {
    const kind = block.columns.map(([, own]) => (own === "number" ? "num" : null));
    const head = block.columns.map(([title], k) => h("th", { scope: "col", class: kind[k] }, title));
    // The first column of words names the row.
    const names = Math.max(block.columns.findIndex(([, own]) => own === "text"), 0);
    const rows = block.rows.map((row) => h("tr", {}, row.map((own, k) =>
      h(k === names ? "th" : "td", { scope: k === names ? "row" : null, class: kind[k] }, cell(own)))));
    return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": block.title || name },
      h("table", {}, h("caption", { class: block.title ? null : "unseen" }, block.title || name), h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)));
  }
  function blocks(list, level, charts, name) {
    return list.map((block) => {
      if (block.type === "section") {
        return h("section", {}, h(`h${Math.min(level, 6)}`, {}, inline(block.title)),
          charts[block.name] && chart(charts[block.name]), blocks(block.blocks, level + 1, charts, plain(block.title)));
      }
      if (block.type === "table") return table(block, name);
      if (block.type === "notice") return h("p", { class: "notice" }, h("strong", {}, block.title), " ", inline(block.text));
      if (block.type === "items") return h("ul", {}, block.entries.map(([text, below]) => h("li", {}, inline(text), below.length > 0 && h("ul", {}, below.map((own) => h("li", {}, inline(own)))))));
      return h("p", { class: "wider" }, inline(block.text));
    });
  }

  const chart = (own) => h("div", { class: "card chart" }, own.type === "curves" ? curves(own) : ranks(own));
  const COLOURS = 5;
  const SHAPES = ["M-4 0A4 4 0 1 0 4 0A4 4 0 1 0-4 0", "M-4-4H4V4H-4Z", "M0-5L5 4H-5Z", "M0-5L5 0L0 5L-5 0Z"];
  const DASHES = ["", "7 4", "2 3"];
  const mark = (k, x, y) => svg("path", { d: SHAPES[k % SHAPES.length], transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`, style: `fill: var(--series-${(k % COLOURS) + 1})` });

  /* SRCC against the number of labels on a logarithmic axis; the table below holds the same numbers. */
  function curves(own) {
    const width = 640, height = 360, left = 52, right = own.lines.length ? 150 : 14, top = 14, bottom = 48;
    const points = own.curves.flatMap((curve) => curve.points);
    // Very wide intervals are cut at the frame; the table has their ends.
    const values = [...points.flatMap(([, v, lo, hi]) => [v, Math.max(lo ?? v, v - 0.2), Math.min(hi ?? v, v + 0.2)]), ...own.lines.map((line) => line.value)];
    const counts = [...new Set(points.map(([n]) => n))].sort((a, b) => a - b);
    const low = Math.min(...values), high = Math.max(...values), pad = (high - low || 0.1) * 0.06;
    const [l0, l1] = counts.length > 1 ? [Math.log(counts[0]), Math.log(counts.at(-1))] : [Math.log(counts[0] / 2), Math.log(counts[0] * 2)];
    const sx = (n) => left + 14 + (width - left - right - 28) * (Math.log(n) - l0) / (l1 - l0);
    const sy = (v) => height - bottom - (height - bottom - top) * (v - low + pad) / (high - low + 2 * pad);
    const plot = svg("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `SRCC on ${own.dataset} against the number of labels, ` +
      own.curves.map((curve) => `${curve.name} ${curve.points.map(([n, v]) => `${fixed(v)} at ${n}`).join(", ")}`).join("; ") });
    for (const v of Charts.ticks(low, high)) plot.append(svg("line", { class: "rule", x1: left, x2: width - right, y1: sy(v), y2: sy(v) }), svg("text", { x: left - 8, y: sy(v) + 4, "text-anchor": "end" }, String(v)));
    let last = -Infinity;
    for (const n of counts) {
      plot.append(svg("line", { class: "rule", x1: sx(n), x2: sx(n), y1: height - bottom, y2: height - bottom + 5 }));
      if (sx(n) - last > 34) { plot.append(svg("text", { x: sx(n), y: height - bottom + 20, "text-anchor": "middle" }, n.toLocaleString("en"))); last = sx(n); }
    }
    plot.append(svg("rect", { class: "frame", x: left, y: top, width: width - left - right, height: height - top - bottom }),
      svg("text", { x: (left + width - right) / 2, y: height - 8, "text-anchor": "middle" }, "images with a score"),
      svg("text", { x: 14, y: (top + height - bottom) / 2, "text-anchor": "middle", transform: `rotate(-90 14 ${(top + height - bottom) / 2})` }, `SRCC on ${own.dataset}`));
    let free = Infinity;
    for (const line of [...own.lines].sort((a, b) => a.value - b.value)) {
      free = Math.min(sy(line.value), free - 14);
      plot.append(svg("line", { class: "level", x1: left, x2: width - right, y1: sy(line.value), y2: sy(line.value) }),
        svg("text", { x: width - right + 6, y: free + 4 }, line.mark ? `${line.name} (${line.mark})` : line.name));
    }
    own.curves.forEach((curve, k) => {
      const shift = (k - (own.curves.length - 1) / 2) * 3;
      const at = curve.points.map(([n, v, lo, hi]) => ({ x: sx(n) + shift, y: sy(v), lo, hi }));
      const stroke = `stroke: var(--series-${(k % COLOURS) + 1})`;
      for (const p of at) if (p.lo !== null && p.lo !== undefined) plot.append(svg("line", { class: "whisker", style: stroke, x1: p.x, x2: p.x, y1: Math.min(sy(p.lo), height - bottom), y2: Math.max(sy(p.hi), top) }));
      plot.append(svg("path", { class: "curve", style: stroke, "stroke-dasharray": DASHES[Math.floor(k / COLOURS) % DASHES.length], d: at.map((p, i) => `${i ? "L" : "M"}${p.x.toFixed(1)} ${p.y.toFixed(1)}`).join("") }));
      for (const p of at) plot.append(mark(k, p.x, p.y));
    });
    const legend = h("ul", { class: "legend" }, own.curves.map((curve, k) => h("li", {},
      svg("svg", { viewBox: "0 0 34 12", "aria-hidden": "true" }, svg("line", { class: "curve", style: `stroke: var(--series-${(k % COLOURS) + 1})`, "stroke-dasharray": DASHES[Math.floor(k / COLOURS) % DASHES.length], x1: 0, x2: 34, y1: 6, y2: 6 }), mark(k, 17, 6)),
      h("code", {}, curve.name))));
    return [plot, legend, own.left > 0 && h("p", { class: "soft" }, `${own.left} further methods are in the table only.`)];
  }

  /* Critical-difference diagram: mean ranks on one axis; a bar joins methods that are not distinguished. */
  function ranks(own) {
    const count = own.ranks.length, width = 720, side = 190, half = Math.ceil(count / 2);
    const depth = 52 + 10 * own.joined.length, height = depth + 22 * half + 14;
    const sx = (rank) => side + (width - 2 * side) * (rank - 1) / Math.max(count - 1, 1);
    const plot = svg("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Mean ranks over ${own.datasets.length} datasets: ` +
      own.ranks.map(([name, rank]) => `${name} ${fixed(rank, 2)}`).join(", ") + `; critical difference ${fixed(own.difference, 2)}` });
    plot.append(svg("line", { class: "frame", x1: sx(1), x2: sx(count), y1: 34, y2: 34 }));
    for (let rank = 1; rank <= count; rank += 1) plot.append(svg("line", { class: "frame", x1: sx(rank), x2: sx(rank), y1: 30, y2: 34 }), svg("text", { x: sx(rank), y: 26, "text-anchor": "middle" }, rank));
    const reach = Math.min(1 + own.difference, count);
    plot.append(svg("line", { class: "difference", x1: sx(1), x2: sx(reach), y1: 10, y2: 10 }), svg("text", { x: sx(reach) + 6, y: 14 }, `critical difference ${fixed(own.difference, 2)}`));
    own.ranks.forEach(([name, rank], k) => {
      const onLeft = k < half, y = depth + 22 * (onLeft ? k : count - 1 - k), end = onLeft ? side - 12 : width - side + 12;
      plot.append(svg("polyline", { class: "leader", points: `${sx(rank)},34 ${sx(rank)},${y} ${end},${y}` }), svg("circle", { cx: sx(rank), cy: 34, r: 4 }),
        svg("text", { x: end + (onLeft ? -5 : 5), y: y + 4, "text-anchor": onLeft ? "end" : "start" }, `${name}  ${fixed(rank, 2)}`));
    });
    own.joined.forEach(([best, worst], k) => plot.append(svg("line", { class: "joined", x1: sx(best) - 5, x2: sx(worst) + 5, y1: 44 + 10 * k, y2: 44 + 10 * k })));
    return plot;
  }

  const KINDS = [["Boards", (name) => !/^((published|few-labels|ranks|demo)\/|not-run$)/.test(name)], ["Few labels, ranks, runs without a result", (name) => /^((few-labels|ranks)\/|not-run$)/.test(name)],
    ["Published figures beside ours", (name) => name.startsWith("published/")], ["Boards of demo data", (name) => name.startsWith("demo/")]];
  function list() {
    return { title: "Boards", nodes: [h("h1", {}, "Boards"),
      h("p", { class: "lead" }, "Every table in full: gains, further measures, intervals, breakdowns, splits, footnotes."),
      KINDS.map(([title, fits]) => {
        const own = boards.filter((board) => fits(board.name));
        return own.length > 0 && [h("h2", {}, title), h("ul", { class: "plain" }, own.map((board) => h("li", {}, h("a", { href: href(["board", board.name]) }, inline(board.title)))))];
      })] };
  }
  async function page(name) {
    const found = boards.find((board) => board.name === name);
    if (!found) return null;
    const own = await load("boards", found.id);
    return { title: plain(own.title), nodes: [h("h1", {}, inline(own.title)), blocks(own.blocks, 2, own.charts, plain(own.title)),
      own.notes.length > 0 && [h("h2", {}, "Notes"), h("ol", { class: "notes" }, own.notes.map((note, k) => h("li", { id: `note-${k}`, tabindex: -1 }, inline(note))))]] };
  }

  return { list, page };
})();
