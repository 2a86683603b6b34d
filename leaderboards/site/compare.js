/* The paired comparison of two runs on the same test images: difference of SRCC, interval from draws of groups. */
"use strict";
const Compare = (() => {
  const DRAWS = 1000;
  const MINIMUM = 30;
  const MARGIN = 0.01;

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

  /* Logarithm of the gamma function for x >= 0.5 (Stirling's series above 10, recurrence below). */
  function logGamma(x) {
    let shift = 0;
    for (; x < 10; x += 1) shift -= Math.log(x);
    const y = 1 / (x * x);
    return shift + (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + (1 / 12 - y * (1 / 360 - y * (1 / 1260 - y / 1680))) / x;
  }

  /* Regularised incomplete beta function by its continued fraction (Abramowitz and Stegun 26.5.8), from the back. */
  function incompleteBeta(x, a, b) {
    if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
    if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
    let fraction = 1;
    for (let m = 200; m >= 1; m -= 1) {
      const k = Math.floor(m / 2);
      const term = m % 2 ? -(a + k) * (a + b + k) * x / ((a + 2 * k) * (a + 2 * k + 1)) : k * (b - k) * x / ((a + 2 * k - 1) * (a + 2 * k));
      fraction = 1 + term / fraction;
    }
    const front = a * Math.log(x) + b * Math.log(1 - x) - Math.log(a) - (logGamma(a) + logGamma(b) - logGamma(a + b));
    return Math.exp(front) / fraction;
  }

  /* Student's t: two-sided p of a value, and the value that is exceeded in absolute terms with probability p. */
  const studentP = (t, degrees) => incompleteBeta(degrees / (degrees + t * t), degrees / 2, 0.5);
  function studentQuantile(p, degrees) {
    let low = 0, high = 1e4;
    for (let k = 0; k < 200; k += 1) {
      const middle = (low + high) / 2;
      if (studentP(middle, degrees) > p) low = middle; else high = middle;
    }
    return (low + high) / 2;
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
    const degrees = units.length - 1, reach = studentQuantile(0.05, degrees) * error;
    found.lo = found.difference - reach;
    found.hi = found.difference + reach;
    found.p = studentP(found.difference / error, degrees);
    const inner = studentQuantile(0.1, degrees) * error;
    const equal = Math.abs(found.difference) + inner < MARGIN;
    found.verdict = found.p <= 0.05 ? (found.difference > 0 ? "better" : "worse") : equal ? "equivalent" : "not distinguished";
    return found;
  }

  return { paired, srcc, studentP, studentQuantile, MINIMUM };
})();
