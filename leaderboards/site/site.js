/* Shared parts: elements, numbers, routes, data that is loaded as scripts. Text reaches the page as text nodes only. */
"use strict";
const Site = (() => {
  const data = window.SSLIQA.index;
  const rowOfKey = new Map();
  /* Runs are named by the first digits of their keys; addresses may hold more. */
  const digits = (data.rows.find((row) => row.runs.length) || { runs: [[""]] }).runs[0][0].length;
  const keyIn = (text) => (text || "").slice(0, digits);
  for (const row of data.rows) {
    row.runs = row.runs.map(([key, seed]) => ({ key, seed }));
    for (const run of row.runs) rowOfKey.set(run.key, row);
  }

  function add(node, children) {
    for (const child of children.flat(Infinity)) {
      if (child === null || child === undefined || child === false || child === "") continue;
      node.append(child instanceof Node ? child : document.createTextNode(String(child)));
    }
    return node;
  }
  function set(node, attributes) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value === true ? "" : value);
    }
    return node;
  }
  const h = (tag, attributes, ...children) => add(set(document.createElement(tag), attributes), children);
  const svg = (tag, attributes, ...children) =>
    add(set(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes), children);

  const missing = "–";
  const fixed = (value, digits = 3) => (value === null || value === undefined ? missing : value.toFixed(digits));
  const signed = (value, digits = 3) => (value === null || value === undefined ? missing : (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits));
  const count = (value) => (value === null || value === undefined ? missing : Math.round(value).toLocaleString("en"));
  const size = (bytes) => (bytes ? `${count(bytes / 2 ** 20)} MiB` : missing);

  const href = (path, parameters) => {
    const query = new URLSearchParams(parameters || {}).toString();
    return `#/${path.map(encodeURIComponent).join("/")}${query ? `?${query}` : ""}`;
  };
  function route() {
    const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
    let parts = [""];
    try { parts = path.split("/").map(decodeURIComponent); } catch { /* a broken address shows the first page */ }
    return { path: parts, query: new URLSearchParams(query || "") };
  }

  const loading = new Map();
  /* A file of data, once; resolves to the document that it holds. */
  function load(kind, name) {
    const held = window.SSLIQA[kind] && window.SSLIQA[kind][name];
    if (held) return Promise.resolve(held);
    const file = `data/${kind}/${name.replace(/[^A-Za-z0-9._-]/g, "_")}.js`;
    if (!loading.has(file)) {
      loading.set(file, new Promise((resolve, reject) => {
        const script = h("script", { src: file });
        script.onload = () => resolve(window.SSLIQA[kind][name]);
        script.onerror = () => reject(new Error(`${file} could not be read.`));
        document.head.append(script);
      }));
    }
    return loading.get(file);
  }

  /* A column of numbers: a plain list, or [low, high, steps of 16 bits in Base64]. */
  function unpack(own) {
    if (own.length !== 3 || typeof own[2] !== "string") return own;
    const [low, high, text] = own;
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const steps = new DataView(bytes.buffer);
    return Array.from({ length: bytes.length / 2 }, (_, k) => low + (high - low) * steps.getUint16(2 * k, true) / 65535);
  }
  /* What the runs of a row share, and what one has beside it; parts that both hold are merged in turn. */
  const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  function merged(shared, own) {
    const all = { ...shared };
    for (const [name, value] of Object.entries(own)) all[name] = isObject(value) && isObject(shared[name]) ? merged(shared[name], value) : value;
    return all;
  }
  /* All that is known of a row: its parameters and its runs, in the order of the index. */
  async function details(row) {
    const own = await load("rows", row.id);
    return { params: own.params, runs: row.runs.map((run, k) => {
      const all = { ...run, ...merged(own.shared, own.runs[k]), charted: k < row.charted };
      return { ...all, notes: all.notes.map(([place, ...numbers]) => own.words[place].map((words, j) => words + (numbers[j] ?? "")).join("")) };
    }) };
  }
  const runOf = async (key) => (await details(rowOfKey.get(key))).runs.find((own) => own.key === key);
  /* Predictions of a run on a dataset, with the numbers of their images, the images and the fitted curve. */
  async function points(result) {
    const images = await load("images", result.images);
    const x = unpack(result.x), y = unpack(result.curve);
    const low = Math.min(...x), high = Math.max(...x);
    return { x, images, at: unpack(images.splits[result.at]), curve: y.map((value, k) => [low + (high - low) * k / (y.length - 1), value]) };
  }

  const tip = document.getElementById("tip");
  function hint(text, at) {
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;
    const box = at.getBoundingClientRect();
    tip.style.left = `${Math.min(box.right + 10, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${Math.max(box.top - tip.offsetHeight - 6, 6)}px`;
  }

  /* A table whose columns sort: {name, title, value(row), cell(row), num, first}. */
  function table(caption, columns, rows, options = {}) {
    const sort = options.sort || "";
    const by = columns.find((column) => column.name === sort.replace(/^-/, ""));
    const ordered = by && by.value ? sorted(rows, by.value, sort.startsWith("-")) : rows;
    const head = columns.map((column) => {
      const order = by === column ? (sort.startsWith("-") ? "descending" : "ascending") : null;
      const label = column.value && options.onsort
        ? h("button", { type: "button", onclick: () => options.onsort(next(column, sort)) }, column.title) : column.title;
      return h("th", { scope: "col", class: classes(column), "aria-sort": order }, label);
    });
    const body = ordered.map((row) => h("tr", { class: options.rowClass ? options.rowClass(row) : null },
      columns.map((column) => h(column.head ? "th" : "td", { scope: column.head ? "row" : null, class: classes(column) },
        column.cell(row)))));
    return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
      h("table", {}, h("caption", {}, caption), h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)));
  }
  const classes = (column) => [column.num ? "num" : "", column.style || ""].join(" ").trim() || null;
  const next = (column, sort) => {
    const first = column.num ? `-${column.name}` : column.name;
    return sort === first ? (column.num ? column.name : `-${column.name}`) : first;
  };
  function sorted(rows, value, down) {
    const keyed = rows.map((row, k) => [value(row), k, row]);
    const none = (v) => v === null || v === undefined || v === "";
    keyed.sort(([a, i], [b, j]) => {
      if (none(a) || none(b)) return none(a) - none(b) || i - j;
      const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
      return (down ? -order : order) || i - j;
    });
    return keyed.map((entry) => entry[2]);
  }

  const facts = (pairs) => h("dl", {}, pairs.filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
  const card = (title, ...children) => h("section", { class: "card" }, h("h2", {}, title), children);
  const demoNotice = () => h("p", { class: "notice" }, h("strong", {}, "Demo data. "),
    "The images and scores are generated. They show that the software works and are no evidence about human opinion.");

  return { data, rowOfKey, keyIn, h, svg, fixed, signed, count, size, missing, href, route, load, unpack, details, runOf, points, hint, table, sorted, facts, card, demoNotice };
})();
