/* The paired comparison of two runs on the same test images: difference of SRCC, interval from draws of groups. */
"use strict";
const Compare = (() => {
  const DRAWS = 1000;
  const MINIMUM = 30;

  /* Ranks, equal values sharing the mean of theirs. */
  function ranks(values) {
    const order = values.map((_, k) => k).sort((a, b) => values[a] - values[b]);
    const found = new Float64Array(values.length);
    for (let i = 0; i < order.length;) {
      let j = i;
      while (j + 1 < order.length && values[order[j + 1]] === values[order[i]]) j += 1;
      for (let k = i; k <= j; k += 1) found[order[k]] = (i + j) / 2;
      i = j + 1;
    }
    return found;
  }
  function pearson(a, b) {
    const n = a.length;
    let ma = 0, mb = 0;
    for (let k = 0; k < n; k += 1) { ma += a[k]; mb += b[k]; }
    ma /= n; mb /= n;
    let ab = 0, aa = 0, bb = 0;
    for (let k = 0; k < n; k += 1) { ab += (a[k] - ma) * (b[k] - mb); aa += (a[k] - ma) ** 2; bb += (b[k] - mb) ** 2; }
    return aa > 0 && bb > 0 ? ab / Math.sqrt(aa * bb) : NaN;
  }
  const srcc = (a, b) => pearson(ranks(a), ranks(b));

  /* mulberry32: the same draws in every browser. */
  function random(seed) {
    return () => {
      seed = (seed + 0x6d2b79f5) | 0;
      let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  }

  /* Cumulative normal distribution (Abramowitz and Stegun 26.2.17), absolute error below 1e-7. */
  function normal(z) {
    const t = 1 / (1 + 0.2316419 * Math.abs(z));
    const tail = Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI)
      * t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
    return z > 0 ? 1 - tail : tail;
  }

  /* a, b: predictions of the same images; groups: number of each image's group, or null. */
  function paired(a, b, scores, groups) {
    const first = srcc(a, scores), second = srcc(b, scores);
    const members = new Map();
    scores.forEach((_, k) => {
      const group = groups ? groups[k] : k;
      if (!members.has(group)) members.set(group, []);
      members.get(group).push(k);
    });
    const units = [...members.values()];
    const found = { first, second, difference: first - second, units: units.length, lo: null, hi: null, p: null };
    if (units.length < MINIMUM) return found;
    const next = random(1);
    const drawn = [];
    for (let draw = 0; draw < DRAWS; draw += 1) {
      const at = [];
      for (let k = 0; k < units.length; k += 1) at.push(...units[Math.floor(next() * units.length)]);
      const own = at.map((k) => scores[k]);
      const gap = srcc(at.map((k) => a[k]), own) - srcc(at.map((k) => b[k]), own);
      if (Number.isFinite(gap)) drawn.push(gap);
    }
    if (drawn.length < 0.95 * DRAWS) return found;
    const mean = drawn.reduce((sum, v) => sum + v, 0) / drawn.length;
    const error = Math.sqrt(drawn.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (drawn.length - 1));
    if (!(error > 0)) return found;
    found.lo = found.difference - 1.96 * error;
    found.hi = found.difference + 1.96 * error;
    found.p = 2 * (1 - normal(Math.abs(found.difference) / error));
    return found;
  }

  return { paired, srcc, MINIMUM };
})();
