/* The pages: results, method, dataset, run, comparison, about. The address holds page and filters. */
"use strict";
(() => {
  const { data, rowOfKey, keyIn, h, fixed, signed, count, size, missing, href, route, details, runOf, points, table, facts, card, demoNotice } = Site;
  const main = document.getElementById("main");
  const FILTERS = [
    ["kind", "Scores", (row) => row.kind, { human: "Human scores", demo: "Demo data" }],
    ["protocol", "Protocol", (row) => row.protocol],
    ["pair", "Pair", (row) => row.pair],
    ["budget", "Labels", (row) => row.budget],
    ["family", "Family", (row) => row.family],
  ];
  const BOARD = ["kind", "protocol", "pair", "budget"];
  const READ = Object.fromEntries(FILTERS.map(([name, , read]) => [name, read]));

  const methodLink = (name) => h("a", { href: href(["method", name]) }, h("code", {}, name));
  const datasetLink = (name) => h("a", { href: href(["dataset", name]) }, h("code", {}, name));
  const bySide = (row, side) => Object.entries(row.results).find(([, own]) => own.side === side);
  const figure = (row, side, name) => { const found = bySide(row, side); return found && found[1][name] ? found[1][name] : null; };
  /* What ranks on a dataset are made of: SRCC, or SRCC within parts where the registry states so. */
  const decisive = (row, side) => figure(row, side, "within_parts") || figure(row, side, "srcc");
  const beside = (row, side) => (figure(row, side, "within_parts") ? h("small", {}, `within parts; SRCC ${fixed((figure(row, side, "srcc") || [])[0])}`) : null);
  const ranking = (row) => bySide(row, "unlabeled") || bySide(row, "labeled") || Object.entries(row.results)[0];
  const judged = (row) => { const found = ranking(row); return found ? found[1] : {}; };

  /* Boards: rows of one kind of data, protocol, pair and number of labels, which alone are ranked together. */
  const boardOf = (row) => JSON.stringify(BOARD.map((name) => READ[name](row)));
  const boards = [...new Set(data.rows.map(boardOf))].map((name) => {
    const rows = data.rows.filter((row) => boardOf(row) === name);
    return { name, rows, first: rows[0], runs: rows.reduce((sum, row) => sum + row.runs.length, 0), gains: rows.some((row) => judged(row).gain) };
  });
  const title = ({ first }) => `${first.pair}, ${first.budget}, protocol ${first.protocol}${first.kind === "demo" ? ", demo data" : ""}`;
  /* The site opens on human scores, with gains of learners, of most runs. */
  boards.sort((a, b) => (a.first.kind === "demo") - (b.first.kind === "demo") || b.gains - a.gains || b.runs - a.runs || title(a).localeCompare(title(b)));

  function number(figures, show, range) {
    if (!figures) return missing;
    const [value, spread, lo, hi] = figures;
    const below = lo !== null && lo !== undefined ? `${show(lo)} to ${show(hi)}` : spread !== null ? `± ${fixed(spread)}` : "";
    return [h("strong", {}, show(value)), below && h("small", {}, below), range && Charts.interval(figures, ...range)];
  }
  const verdictOf = (row) => { const own = judged(row).verdict; return own ? h("span", { class: `verdict ${own.replace(" ", "-")}` }, own) : missing; };

  function columns(rows) {
    const sides = ["labeled", "unlabeled", "external"].filter((side) => rows.some((row) => bySide(row, side)));
    const several = new Set(rows.map(boardOf)).size > 1;
    // A method that a board has in several settings is shown with its setting.
    const settings = {};
    for (const row of rows) (settings[`${boardOf(row)} ${row.method}`] ??= new Set()).add(row.setting);
    const titled = (row) => (settings[`${boardOf(row)} ${row.method}`].size > 1 ? `${row.title}, ${row.setting}` : row.title);
    // One scale for the bars of a column, from the lowest to the highest end; gains around zero.
    const ends = (read) => rows.map(read).filter(Boolean).flatMap(([value, , lo, hi]) => [value, lo, hi]).filter((v) => v !== null && v !== undefined);
    const scale = (side) => { const all = ends((row) => decisive(row, side)); return [Math.min(...all) - 0.005, Math.max(...all) + 0.005]; };
    const reach = Math.max(...["over_best", "gain"].flatMap((name) => ends((row) => judged(row)[name])).map(Math.abs), 0.001);
    const gained = (name, title) => ({ name, title, num: true, value: (row) => (judged(row)[name] || [null])[0], cell: (row) => number(judged(row)[name], signed, [-reach, reach]) });
    return [
      { name: "rank", title: "Rank", num: true, value: (row) => (row.rank === null ? null : -row.rank), cell: (row) => row.rank ?? row.status },
      { name: "method", title: "Method", head: true, style: "method", value: (row) => row.method,
        cell: (row) => [row.method in data.methods ? methodLink(row.method) : h("code", {}, row.method), row.marks.map((mark) => h("span", { class: "tag" }, mark)), h("small", {}, titled(row)),
          several && h("small", { class: "only-small" }, `${row.pair}, ${row.budget}`)] },
      several && { name: "pair", title: "Pair", style: "hide-small", value: (row) => row.pair, cell: (row) => [h("code", {}, row.pair), h("br"), h("small", {}, `${row.budget}, ${row.protocol}`)] },
      { name: "labels", title: "Labels", num: true, style: "hide-small", value: (row) => parseInt(row.labels, 10), cell: (row) => row.labels },
      ...sides.map((side) => ({ name: `srcc-${side}`, title: `SRCC ${side}`, num: true,
        value: (row) => (decisive(row, side) || [null])[0], cell: (row) => [number(decisive(row, side), fixed, scale(side)), beside(row, side)] })),
      gained("over_best", "Over best labels-only"),
      gained("gain", "Gain"),
      { name: "verdict", title: "Verdict", value: (row) => judged(row).verdict, cell: verdictOf },
      { name: "runs", title: "Runs", num: true, value: (row) => row.runs.length,
        cell: (row) => row.runs.length === 0 ? "0" : h("a", { href: href(["run", row.runs[0].key]), "aria-label": `${row.runs.length} runs of ${row.method}` }, row.runs.length) },
    ].filter(Boolean);
  }
  const rowClass = (row) => (row.reference ? "ref" : null);

  function results(query) {
    const given = BOARD.some((name) => query.has(name));
    const primary = given || !boards.length ? {} : Object.fromEntries(BOARD.map((name) => [name, READ[name](boards[0].first)]));
    const chosen = Object.fromEntries(FILTERS.map(([name]) => [name, query.get(name) ?? primary[name] ?? ""]));
    const text = query.get("q") || "";
    const fits = (row, own) => FILTERS.every(([name, , read]) => !own[name] || own[name] === "all" || read(row) === own[name]);
    const shown = data.rows.filter((row) => fits(row, chosen) && `${row.method} ${row.title}`.toLowerCase().includes(text.toLowerCase()));
    const open = (own) => {
      const all = new URLSearchParams(query);
      for (const [name] of FILTERS) if (own[name]) all.set(name, own[name]); else all.delete(name);
      if (!BOARD.some((name) => own[name])) all.set("kind", "all");
      location.hash = href([""], all);
    };
    const change = (name, value) => {
      if (name === "q" || name === "sort") {
        const all = new URLSearchParams(query);
        if (value) all.set(name, value); else all.delete(name);
        location.hash = href([""], all);
        return;
      }
      // Later filters that leave no row are cleared.
      const own = {};
      for (const [filter] of FILTERS) {
        own[filter] = filter === name ? value : chosen[filter];
        if (filter !== name && !data.rows.some((row) => fits(row, { ...own, [name]: value }))) own[filter] = "";
      }
      open(own);
    };
    const at = boards.find((own) => BOARD.every((name) => chosen[name] === READ[name](own.first)));
    const chooser = h("label", { class: "chooser" }, "Board", h("select", { name: "board", onchange: (e) => {
      const own = boards.find((board) => board.name === e.target.value);
      open(own ? Object.fromEntries(BOARD.map((name) => [name, READ[name](own.first)])) : {});
    } }, boards.map((own) => h("option", { value: own.name, selected: own === at }, `${title(own)} (${own.rows.length} rows, ${own.runs} runs)`)),
    h("option", { value: "", selected: !at }, at ? "All boards together" : "Several boards together")));
    const selects = FILTERS.map(([name, heading, read, words], k) => {
      const before = Object.fromEntries(FILTERS.slice(0, k).map(([other]) => [other, chosen[other]]));
      const values = [...new Set(data.rows.filter((row) => fits(row, before)).map(read))].filter(Boolean).sort();
      return h("label", {}, heading, h("select", { name, onchange: (e) => change(name, e.target.value) },
        [["", "All"], ...values.map((value) => [value, (words || {})[value] || value])]
          .map(([value, label]) => h("option", { value, selected: value === chosen[name] }, label))));
    });
    const search = h("label", {}, "Search", h("input", { type: "search", name: "q", value: text, placeholder: "method", onchange: (e) => change("q", e.target.value) }));
    const sentences = data.sentences.filter((own) => shown.some((row) => row.kind === own.kind && row.pair === own.pair && row.protocol === own.protocol && row.budget === own.budget));
    return { title: "Results", nodes: [
      h("h1", {}, "How good is a quality model when most images have no score?"),
      h("p", { class: "lead" }, "Mean SRCC on test images, the gain over the best row that learned from labels alone, and the gain over each learner's own labels-only comparator, with 95 % intervals. Rows in grey are comparators, oracles and controls, which are not ranked."),
      shown.some((row) => row.kind === "demo") && demoNotice(),
      h("form", { class: "filters", role: "search", onsubmit: (e) => e.preventDefault() }, chooser, selects, search,
        h("button", { type: "button", onclick: () => { location.hash = "#/"; } }, "Reset")),
      !at && shown.length > 0 && h("p", { class: "notice" }, "These rows come from several boards: figures of different pairs, budgets or protocols are not comparable, and ranks hold within a board only."),
      at && sentences.map((own) => h("p", { class: "result" }, own.text)),
      h("p", { class: "soft", "aria-live": "polite", id: "count" }, `${shown.length} of ${data.rows.length} rows`),
      table("Results, one row per method and setting", columns(shown), shown, { sort: query.get("sort") || "", onsort: (value) => change("sort", value), rowClass }),
    ] };
  }

  function listed(title, lead, names, link, describe) {
    return { title, nodes: [h("h1", {}, title), h("p", { class: "lead" }, lead),
      table(title, [
        { name: "name", title: "Name", head: true, style: "method", cell: (name) => link(name) },
        { name: "title", title: "Title", cell: (name) => describe(name)[0] },
        { name: "family", title: "Kind", cell: (name) => describe(name)[1] },
        { name: "rows", title: "Rows", num: true, cell: (name) => describe(name)[2] },
      ], names)] };
  }
  const methods = () => listed("Methods", "All methods on record.", Object.keys(data.methods), methodLink,
    (name) => [data.methods[name].title, data.methods[name].family, data.rows.filter((row) => row.method === name).length]);
  const datasets = () => listed("Datasets", "All datasets that runs were trained or tested on.", Object.keys(data.datasets), datasetLink,
    (name) => [data.datasets[name].title, data.datasets[name].kind, data.rows.filter((row) => row.results[name]).length]);

  function method(name) {
    const own = data.methods[name];
    if (!own) return missingPage(`No method ${name} on record.`);
    const rows = data.rows.filter((row) => row.method === name);
    const parameters = h("div", {}, h("p", { class: "soft" }, "Read from the newest run."));
    const found = rows.find((row) => row.runs.length > 0);
    (found ? details(found) : Promise.resolve({ params: {} })).then((document) => parameters.replaceChildren(
      Object.keys(document.params).length ? h("pre", { tabindex: 0, "aria-label": "Parameters" }, JSON.stringify(document.params, null, 2)) : h("p", {}, "None."),
    ), (error) => parameters.replaceChildren(h("p", {}, error.message)));
    const role = { comparator: "labels-only comparator of ", oracle: "oracle of " }[own.reference];
    return { title: name, nodes: [
      h("h1", {}, own.title), h("p", { class: "lead" }, h("code", {}, name), own.family && ` · ${own.family}`, role && [" · ", role, h("code", {}, own.like)]),
      rows.some((row) => row.kind === "demo") && demoNotice(),
      own.description && h("p", {}, own.description),
      h("h2", {}, "Results"), table(`All results of ${name}`, columns(rows), rows, { rowClass }),
      [...new Set(rows.flatMap((row) => row.notes))].map((note) => h("p", { class: "soft" }, note)),
      h("h2", {}, "Runs"),
      rows.filter((row) => row.runs.length > 0).map((row) => card(`${row.pair}, ${row.budget}, ${row.setting}`, h("ul", { class: "cloud" },
        row.runs.map((run) => h("li", {}, h("a", { href: href(["run", run.key]) }, `seed ${run.seed}`)))))),
      h("div", { class: "grid", style: "margin-top:1.25rem" }, card("Parameters", parameters),
        own.citation && card("Citation", h("pre", { tabindex: 0, "aria-label": "BibTeX" }, own.citation)),
        card("Cost, mean over runs", table("Cost", [
          { name: "pair", title: "Pair", head: true, cell: (row) => `${row.pair}, ${row.budget}` },
          { name: "parameters", title: "Parameters", num: true, cell: (row) => count(row.cost.n_parameters) },
          { name: "rate", title: "Images/s", num: true, cell: (row) => count(row.cost.images_per_second) },
          { name: "seconds", title: "Training (s)", num: true, cell: (row) => fixed(row.cost.seconds, 1) },
          { name: "memory", title: "Memory", num: true, cell: (row) => size(row.cost.peak_memory_bytes) },
          { name: "device", title: "Device", cell: (row) => row.device },
        ], rows.filter((row) => row.runs.length > 0)))),
    ] };
  }

  function dataset(name) {
    const own = data.datasets[name];
    if (!own) return missingPage(`No dataset ${name} on record.`);
    const rows = data.rows.filter((row) => row.results[name]);
    return { title: name, nodes: [
      h("h1", {}, own.title), h("p", { class: "lead" }, h("code", {}, name), ` · ${own.kind}`),
      own.kind === "demo" && demoNotice(), own.description && h("p", {}, own.description),
      facts([["Images", own.images ? count(own.images) : ""], ["Scale", own.scale ? own.scale.join(" to ") : ""],
        ["Home page", /^https?:/.test(own.home || "") ? h("a", { href: own.home, rel: "noreferrer" }, own.home) : ""], ["Terms", own.terms]]),
      h("h2", {}, "Results"), rows.length ? table(`Rows tested on ${name}`, columns(rows), rows, { rowClass }) : h("p", {}, "No run was tested on it."),
      own.citation && [h("h2", {}, "Citation"), h("pre", { tabindex: 0, "aria-label": "BibTeX" }, own.citation)],
    ] };
  }

  const NAMES = { srcc: "SRCC", krcc: "KRCC", plcc_mapped: "PLCC", plcc_raw: "PLCC raw", rmse_mapped: "RMSE" };
  const METRICS = Object.keys(NAMES);
  function metricTable(result) {
    return table("Metrics of this run, 95 % intervals for other test images", [
      { name: "m", title: "Metric", head: true, cell: (name) => NAMES[name] },
      { name: "v", title: "Value", num: true, cell: (name) => fixed(result.metrics[METRICS.indexOf(name)]) },
      { name: "i", title: "Interval", num: true, cell: (name) => (result.intervals[METRICS.indexOf(name)] || [missing]).map((v) => (v === missing ? v : fixed(v))).join(" to ") },
    ], METRICS);
  }

  const errorTable = (errors) => table("Errors of the mapped predictions by fifth of the scores, in the dataset's units; positive bias: quality overestimated", [
    { name: "r", title: "Scores", head: true, cell: ([from, to]) => `${from} to ${to}` },
    { name: "n", title: "Images", num: true, cell: (own) => count(own[2]) },
    { name: "b", title: "Bias", num: true, cell: (own) => signed(own[3], 2) },
    { name: "e", title: "RMSE", num: true, cell: (own) => fixed(own[4], 2) },
  ], errors);

  /* Why a run has no scatter, and who draws it. */
  const REFUSED = "Scores and names of this dataset may not be redistributed: not recomputable here.";
  const uncharted = (row) => `This site has charts of the first ${row.charted} runs of a row.`;
  const command = (...words) => h("pre", { tabindex: 0, "aria-label": "Command" }, `ssliqa-bench ${words.join(" ")} --store STORE`);
  function unplotted(own, row, result) {
    if (result.withheld) return h("p", {}, REFUSED);
    if (own.charted) return h("p", {}, "Nothing can be drawn from these predictions.");
    return [h("p", {}, `${uncharted(row)} This draws the one of this run:`), command("plot", "scatter", own.key.slice(0, 12), "--out", "scatter.png")];
  }

  async function run(key) {
    const row = rowOfKey.get(key);
    if (!row) return missingPage("No such run on record.");
    const own = await runOf(key);
    const parts = [];
    for (const [name, result] of Object.entries(own.results)) {
      const plot = result.images
        ? [Charts.scatter(await points(result)), h("p", { class: "soft" }, `Fitted mapping: ${result.mapping}. Hover a point, or use the arrow keys, for the image.`)]
        : unplotted(own, row, result);
      parts.push(h("h2", {}, `On ${name} (${row.results[name] ? row.results[name].side : ""} side)`),
        h("div", { class: "grid" }, card("Scores against predictions", plot), h("div", { class: "stack" }, card("Metrics", metricTable(result),
          h("p", { class: "soft" }, `${count(result.n)} test images, split `, h("code", {}, result.split)),
          Object.entries(result.by).map(([kind, labels]) => table(`SRCC by ${kind}`, [
            { name: "l", title: kind, head: true, cell: (entry) => entry[0] }, { name: "v", title: "SRCC", num: true, cell: (entry) => fixed(entry[1]) },
          ], Object.entries(labels)))), result.errors && result.errors.length > 0 && card("Errors by score range", errorTable(result.errors)),
        )));
    }
    const curves = own.stages.filter((stage) => Object.keys(stage.log).length && Site.unpack(Object.values(stage.log)[0]).length > 1).map((stage) => {
      const losses = Object.keys(stage.log).filter((name) => name !== "lr");
      return card(`Stage ${stage.name}`, losses.length ? Charts.logs(stage, losses.slice(0, 5)) : null, stage.log.lr && Charts.logs(stage, ["lr"]));
    });
    const others = row.runs.filter((other) => other.key !== key).map((other) => h("li", {}, h("a", { href: href(["run", other.key]) }, `seed ${other.seed}`)));
    return { title: `Run ${key.slice(0, 12)}`, nodes: [
      h("h1", {}, `${row.title}, seed ${own.seed}`),
      h("p", { class: "lead" }, methodLink(row.method), ` on ${row.pair}, ${row.budget}, protocol ${row.protocol}`),
      row.kind === "demo" && demoNotice(),
      own.charted && h("p", {}, h("a", { href: href(["compare"], { a: key }) }, "Compare this run with another")),
      parts,
      !own.charted && [h("h2", {}, "Training log"), command("plot", "log", key.slice(0, 12), "--out", "log.png")],
      curves.length > 0 && [h("h2", {}, "Training log"), h("div", { class: "grid" }, curves)],
      h("h2", {}, "Facts"),
      facts([["Run key", h("span", { class: "key" }, key)], ["Made", own.created], ["Recipe", row.setting], ["Steps", count(own.steps)],
        ["Parameters", count(own.parameters)], ["Training", `${fixed(own.seconds[0], 1)} s`], ["Peak memory", size(own.memory)],
        ["Device", `${own.device}, ${own.threads} thread${own.threads === 1 ? "" : "s"}, ${own.precision}`], ["Commit", own.commit],
        ["Images", Object.entries(own.roles).map(([name, roles]) => `${name}: ${Object.entries(roles).map(([role, n]) => `${n} ${role}`).join(", ")}`).join("; ")],
        ["Versions", Object.entries(own.versions).map(([name, version]) => `${name} ${version}`).join(", ")], ["Leak allowed", own.leak]]),
      own.notes.length > 0 && [h("h2", {}, "Notes of the run"), h("ul", {}, own.notes.map((note) => h("li", {}, note)))],
      others.length > 0 && [h("h2", {}, "Other runs of this row"), h("ul", { class: "cloud" }, others)],
    ] };
  }

  async function compare(query) {
    const names = data.rows.flatMap((row) => row.runs.map(({ key, seed }, k) => ({ key, row, seed, charted: k < row.charted })));
    const chosen = { a: keyIn(query.get("a")), b: keyIn(query.get("b")) };
    const first = rowOfKey.get(chosen.a);
    const seedOf = (key) => names.find((own) => own.key === key).seed;
    const label = (own) => `${own.row.method} · ${own.row.pair}, ${own.row.budget} · ${own.row.setting} · seed ${own.seed}`;
    const fits = (name, own) => name === "a" || !first || Object.keys(own.row.results).some((dataset) => first.results[dataset]) && own.seed === seedOf(chosen.a) && own.key !== chosen.a;
    const pick = (name, title) => h("label", {}, title, h("select", { name, onchange: (event) => {
      const all = new URLSearchParams(query);
      all.set(name, event.target.value);
      location.hash = href(["compare"], all);
    } }, h("option", { value: "" }, "Choose a run"), names.filter((own) => own.charted && fits(name, own) || own.key === chosen[name])
      .map((own) => h("option", { value: own.key, selected: own.key === chosen[name] }, label(own)))));
    const nodes = [h("h1", {}, "Compare two runs"),
      h("p", { class: "lead" }, "Difference of SRCC on the test images that both runs share: 1,000 draws of images, or of the groups they belong to, both runs in the same draws."),
      h("form", { class: "filters wide", onsubmit: (event) => event.preventDefault() }, pick("a", "First run"), pick("b", "Second run, of the same seed"))];
    if (first && rowOfKey.get(chosen.b)) nodes.push(await comparison(chosen.a, chosen.b));
    return { title: "Compare", nodes };
  }

  async function comparison(a, b) {
    const rows = [a, b].map((key) => rowOfKey.get(key));
    const runs = await Promise.all([a, b].map(runOf));
    const shared = Object.keys(runs[0].results).filter((name) => runs[1].results[name]);
    if (!shared.length) return h("p", {}, "The runs were tested on no common dataset.");
    const parts = [];
    for (const name of shared) {
      const [one, two] = runs.map((own) => own.results[name]);
      const metrics = table(`Metrics on ${name}`, [
        { name: "m", title: "Metric", head: true, cell: (metric) => NAMES[metric] },
        { name: "a", title: rows[0].method, num: true, cell: (metric) => fixed(one.metrics[METRICS.indexOf(metric)]) },
        { name: "b", title: rows[1].method, num: true, cell: (metric) => fixed(two.metrics[METRICS.indexOf(metric)]) },
      ], METRICS);
      let plots = null, verdict;
      if (one.withheld || two.withheld) verdict = REFUSED;
      else if (!one.images || !two.images) {
        const at = runs.findIndex((own) => !own.charted);
        verdict = at < 0 ? "Nothing can be compared: predictions are missing or not finite." : uncharted(rows[at]);
        if (at >= 0) plots = [h("p", {}, "This compares the two:"), command("compare", a.slice(0, 12), b.slice(0, 12))];
      }
      else if (one.images !== two.images || one.split !== two.split) verdict = "The runs were tested on different images: not comparable.";
      else {
        const [first, second] = [await points(one), await points(two)], { images } = first;
        const place = new Map(second.at.map((image, k) => [image, k]));
        const other = first.at.map((image) => second.x[place.get(image)]);
        const found = Compare.paired(first.x, other, first.at.map((image) => images.scores[image]), images.groups && first.at.map((image) => images.groups[image]));
        verdict = words(found);
        plots = h("div", { class: "grid" }, [first, second].map((own, k) => card(rows[k].method, Charts.scatter(own))));
      }
      parts.push(h("h2", {}, `On ${name}`), h("p", { class: "result", "data-verdict": name }, verdict), h("div", { class: "narrow" }, metrics), plots && h("div", { style: "margin-top:1.25rem" }, plots));
    }
    return parts;
  }
  function words(found) {
    const gap = `SRCC ${fixed(found.first)} against ${fixed(found.second)}: difference ${signed(found.difference)}`;
    if (found.lo === null) {
      const why = found.units < Compare.MINIMUM ? `${found.units} groups of images, ${Compare.MINIMUM} are needed` : "the draws of images do not differ, or leave SRCC undefined";
      return `${gap}. No interval: ${why}.`;
    }
    const told = { better: "the first ranks these images better", worse: "the second ranks these images better" }[found.verdict] || found.verdict;
    return `${gap}, 95 % interval ${signed(found.lo)} to ${signed(found.hi)}, p ${found.p < 0.001 ? "< 0.001" : `= ${fixed(found.p)}`}: ${told}. This is about these two models; training them again may change it.`;
  }

  function about() {
    return { title: "About", nodes: [h("h1", {}, "How to read this site"),
      h("p", {}, "SRCC: Spearman's rank correlation between scores and predictions on test images, mean over runs. The interval is for other random splits of the same images, corrected for training parts that overlap (Nadeau and Bengio 2003); of a single run it is for other test images."),
      h("p", {}, "Gain: SRCC minus that of the row's comparator, which is trained on the labels alone for the same number of steps, paired by seed. Verdicts are corrected for all comparisons of a table (Holm). Not distinguished does not mean equal; equivalent: within 0.010 of the comparator."),
      h("p", {}, "Ref: comparators and oracles, not ranked. Control: a check whose outcome is known beforehand, not ranked. Seen: the initial weights of a method were trained on that dataset. Old: images, scores or splits differ from those of the newest record."),
      h("p", {}, "The scatter shows native scores against predictions with the mapping that PLCC and RMSE use."),
      h("p", {}, "The address of a page holds its filters, so a link shows the same selection.")] };
  }
  const missingPage = (text) => ({ title: "Not found", nodes: [h("h1", {}, "Not found"), h("p", {}, text), h("p", {}, h("a", { href: "#/" }, "All results"))] });

  let turn = 0, shownPath = null;
  async function show() {
    const mine = ++turn;
    const { path, query } = route();
    const focused = document.activeElement && document.activeElement.name;
    let page;
    try {
      page = await ({ "": () => results(query), boards: Boards.list, board: async () => (await Boards.page(path[1])) || missingPage("There is no such board."), methods, datasets, about, method: () => method(path[1]), dataset: () => dataset(path[1]),
        run: () => run(keyIn(path[1])), compare: () => compare(query) }[path[0]] || (() => missingPage("There is no such page.")))();
    } catch (error) {
      page = { title: "Error", nodes: [h("h1", {}, "This page cannot be shown"), h("p", {}, error.message)] };
    }
    if (mine !== turn) return;
    Site.hint("");
    main.replaceChildren(...page.nodes.flat(Infinity).filter(Boolean));
    document.title = `${page.title} · SSLIQA Bench`;
    const at = { method: "methods", dataset: "datasets", board: "boards" }[path[0]] || path[0];
    for (const link of document.querySelectorAll("nav a")) {
      if (link.getAttribute("href") === `#/${at}`) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
    }
    const here = path.join("/");
    const control = focused && main.querySelector(`[name="${CSS.escape(focused)}"]`);
    if (shownPath === here && control) control.focus();
    else if (shownPath !== null && shownPath !== here) { main.focus(); scrollTo(0, 0); }
    shownPath = here;
    main.dataset.shown = location.hash || "#/";
  }

  const theme = document.getElementById("theme");
  function paint(dark) {
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    theme.setAttribute("aria-pressed", String(dark));
  }
  const stored = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  paint(stored() ? stored() === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  theme.addEventListener("click", () => {
    const dark = document.documentElement.dataset.theme !== "dark";
    paint(dark);
    try { localStorage.setItem("theme", dark ? "dark" : "light"); } catch { /* a browser without storage forgets it */ }
    if (document.querySelector(".uplot")) show();
  });
  addEventListener("hashchange", show);
  show();
})();
