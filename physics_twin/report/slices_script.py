"""The script that draws the slices of an envelope; plain JavaScript, as text inside the page.

It reads the data beside it, fetches nothing and writes nothing. Every picture is an SVG: the probability as an image
of flat shades, the edge as line segments (marching squares on the margin), axes with units, marks.
"""

SCRIPT = r"""
(function () {
  "use strict";
  const SHADES = [[0.25, 176], [0.5, 207], [0.75, 231], [0.9, 243], [0.95, 250], [0.99, 253], [2, 255]];
  const W = 250, H = 215, LEFT = 46, BOTTOM = 38, TOP = 8, RIGHT = 10, FINE = 61, REACH = 0.15;
  const NS = "http://www.w3.org/2000/svg";

  function bytes(text) {
    return Uint8Array.from(atob(text), c => c.charCodeAt(0));
  }

  function node(parent, name, attributes, text) {
    const made = document.createElementNS(NS, name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    if (text !== undefined) made.textContent = text;
    parent.appendChild(made);
    return made;
  }

  function ticks(low, high) {
    const rough = Math.abs(high - low) / 4, power = Math.pow(10, Math.floor(Math.log10(rough)));
    const step = [1, 2, 2.5, 5, 10].map(x => x * power).find(x => x >= rough * 0.999) || 10 * power;
    const found = [];
    for (let k = Math.ceil(Math.min(low, high) / step - 1e-9); k * step <= Math.max(low, high) + 1e-9 * step; k++)
      found.push(k * step);
    return found;
  }

  function number(x, width) {
    const digits = Math.max(0, 1 - Math.floor(Math.log10(Math.abs(width) || 1)));
    return x.toFixed(Math.min(digits, 9)).replace("-", "\u2212");
  }

  function tick(x) {
    return String(parseFloat(x.toPrecision(6))).replace("-", "\u2212");
  }

  function start(block) {
    const data = JSON.parse(block.querySelector("script.data").textContent);
    const d = data.settings.length, n = data.n;
    const chance = bytes(data.chance), level = bytes(data.level);
    const sliders = Array.from(block.querySelectorAll("input[type=range]"));
    const outputs = Array.from(block.querySelectorAll("output"));
    const verdict = block.querySelector(".verdict"), panels = block.querySelector(".panels");
    const stride = Array.from({length: d}, (_, i) => Math.pow(n, d - 1 - i));
    const at = data.start.slice();
    const drawn = [];

    function corners(axes) {
      // Nodes around the sliders along all settings but those of the panel, with their weights.
      let found = [[0, 1]];
      for (let k = 0; k < d; k++) {
        if (axes.includes(k)) continue;
        const x = at[k] * (n - 1), i = Math.min(Math.floor(x), n - 2), f = x - i, next = [];
        for (const [offset, weight] of found) {
          if (f < 1) next.push([offset + i * stride[k], weight * (1 - f)]);
          if (f > 0) next.push([offset + (i + 1) * stride[k], weight * f]);
        }
        found = next;
      }
      return found;
    }

    function slice(grid, a, b) {
      // n x n values over the settings a (columns) and b (rows).
      const around = corners([a, b]), values = new Float64Array(n * n);
      for (let j = 0; j < n; j++) for (let i = 0; i < n; i++) {
        let sum = 0;
        for (const [offset, weight] of around) sum += weight * grid[offset + i * stride[a] + j * stride[b]];
        values[j * n + i] = sum;
      }
      return values;
    }

    function refined(values) {
      const out = new Float64Array(FINE * FINE);
      for (let q = 0; q < FINE; q++) for (let p = 0; p < FINE; p++) {
        const x = p / (FINE - 1) * (n - 1), y = q / (FINE - 1) * (n - 1);
        const i = Math.min(Math.floor(x), n - 2), j = Math.min(Math.floor(y), n - 2), f = x - i, g = y - j;
        const k = j * n + i;
        out[q * FINE + p] = (1 - g) * ((1 - f) * values[k] + f * values[k + 1])
          + g * ((1 - f) * values[k + n] + f * values[k + n + 1]);
      }
      return out;
    }

    function shaded(values) {
      const canvas = document.createElement("canvas");
      canvas.width = canvas.height = FINE;
      const pen = canvas.getContext("2d"), image = pen.createImageData(FINE, FINE);
      for (let q = 0; q < FINE; q++) for (let p = 0; p < FINE; p++) {
        const share = values[q * FINE + p] / data.shares, k = 4 * ((FINE - 1 - q) * FINE + p);
        image.data[k] = image.data[k + 1] = image.data[k + 2] = SHADES.find(s => share < s[0])[1];
        image.data[k + 3] = 255;
      }
      pen.putImageData(image, 0, 0);
      return canvas.toDataURL();
    }

    function edge(values, X, Y) {
      // Marching squares: a segment for each cell that the zero line crosses, two where it crosses twice.
      let path = "";
      for (let j = 0; j < FINE - 1; j++) for (let i = 0; i < FINE - 1; i++) {
        const k = j * FINE + i, c = [values[k], values[k + 1], values[k + FINE + 1], values[k + FINE]];
        const place = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]], cross = [];
        for (let s = 0; s < 4; s++) {
          const u = c[s] - data.zero, v = c[(s + 1) % 4] - data.zero;
          if ((u >= 0) === (v >= 0)) continue;
          const f = u / (u - v), P = place[s], Q = place[(s + 1) % 4];
          cross.push([(P[0] + f * (Q[0] - P[0])) / (FINE - 1), (P[1] + f * (Q[1] - P[1])) / (FINE - 1)]);
        }
        for (let s = 0; s + 1 < cross.length; s += 2)
          path += "M" + X(cross[s][0]).toFixed(1) + " " + Y(cross[s][1]).toFixed(1)
            + "L" + X(cross[s + 1][0]).toFixed(1) + " " + Y(cross[s + 1][1]).toFixed(1);
      }
      return path;
    }

    function cut(a, b) {
      // The slice of the polytope: the square, cut by one side after the other.
      let outline = [[0, 0], [1, 0], [1, 1], [0, 1]];
      for (const side of data.sides) {
        let room = side[d];
        for (let k = 0; k < d; k++) if (k !== a && k !== b) room -= side[k] * at[k];
        const next = [];
        outline.forEach((p, s) => {
          const q = outline[(s + 1) % outline.length];
          const u = room - side[a] * p[0] - side[b] * p[1], v = room - side[a] * q[0] - side[b] * q[1];
          if (u >= 0) next.push(p);
          if (u * v < 0) next.push([p[0] + u / (u - v) * (q[0] - p[0]), p[1] + u / (u - v) * (q[1] - p[1])]);
        });
        outline = next;
      }
      return outline;
    }

    function panel(a, b) {
      const svg = document.createElementNS(NS, "svg");
      const names = data.settings[b].name + " over " + data.settings[a].name;
      for (const [key, value] of [["viewBox", "0 0 " + W + " " + H], ["role", "img"], ["aria-label", names]])
        svg.setAttribute(key, value);
      svg.dataset.pair = a + "-" + b;
      svg.style.gridColumn = a + 1;
      svg.style.gridRow = b;
      panels.appendChild(svg);
      const X = u => LEFT + u * (W - LEFT - RIGHT), Y = u => H - BOTTOM - u * (H - BOTTOM - TOP);
      const size = {x: X(0), y: Y(1), width: X(1) - X(0), height: Y(0) - Y(1)};
      const map = node(svg, "image", Object.assign({preserveAspectRatio: "none"}, size));
      const line = node(svg, "path", {class: "edge", fill: "none", stroke: "#6aa84f", "stroke-width": 3});
      const outline = node(svg, "polygon", {class: "polytope"});
      const box = node(svg, "rect", {class: "frame"});
      const marks = node(svg, "g", {});
      const here = node(svg, "path", {class: "here"});
      node(svg, "rect", Object.assign({class: "border"}, size));
      axes(svg, a, b, X, Y);
      drawn.push(() => {
        map.setAttribute("href", shaded(refined(slice(chance, a, b))));
        line.setAttribute("d", edge(refined(slice(level, a, b)), X, Y));
        frame(box, a, b, X, Y);
        outline.setAttribute("points",
          data.sides.length ? cut(a, b).map(p => X(p[0]).toFixed(1) + "," + Y(p[1]).toFixed(1)).join(" ") : "");
        batches(marks, a, b, X, Y);
        here.setAttribute("d", "M" + X(at[a]) + " " + Y(0) + "V" + Y(1) + "M" + X(0) + " " + Y(at[b]) + "H" + X(1));
      });
    }

    function axes(svg, a, b, X, Y) {
      const sa = data.settings[a], sb = data.settings[b];
      for (const t of ticks(sa.low, sa.high)) {
        const x = X((t - sa.low) / (sa.high - sa.low));
        node(svg, "path", {class: "tick", d: "M" + x + " " + Y(0) + "v4"});
        node(svg, "text", {x: x, y: Y(0) + 14, "text-anchor": "middle"}, tick(t));
      }
      for (const t of ticks(sb.low, sb.high)) {
        const y = Y((t - sb.low) / (sb.high - sb.low));
        node(svg, "path", {class: "tick", d: "M" + X(0) + " " + y + "h-4"});
        node(svg, "text", {x: X(0) - 6, y: y + 3, "text-anchor": "end"}, tick(t));
      }
      const title = s => s.name + (s.unit && s.unit !== "1" ? " / " + s.unit : "");
      node(svg, "text", {class: "name", x: 0.5 * (X(0) + X(1)), y: H - 8, "text-anchor": "middle"}, title(sa));
      node(svg, "text", {class: "name", "text-anchor": "middle",
        transform: "translate(10 " + 0.5 * (Y(0) + Y(1)) + ") rotate(-90)"}, title(sb));
    }

    function through(a, b) {
      return data.box.every((side, k) => k === a || k === b
        || (at[k] >= side[0] - 1e-9 && at[k] <= side[1] + 1e-9));
    }

    function frame(box, a, b, X, Y) {
      if (!data.box) return;
      const [x0, x1] = data.box[a], [y0, y1] = data.box[b];
      const where = {x: X(x0), y: Y(y1), width: X(x1) - X(x0), height: Y(y0) - Y(y1)};
      for (const key in where) box.setAttribute(key, where[key]);
      box.classList.toggle("beside", !through(a, b));
      box.classList.toggle("thin", data.sides.length > 0);
    }

    function batches(marks, a, b, X, Y) {
      marks.textContent = "";
      const faded = (point, least) => {
        let apart = 0;
        for (let k = 0; k < d; k++) if (k !== a && k !== b) apart = Math.max(apart, Math.abs(point[k] - at[k]));
        return (least + (1 - least) * Math.exp(-Math.pow(apart / REACH, 2))).toFixed(2);
      };
      for (const batch of data.batches) {
        const u = batch.at[a], v = batch.at[b], out = u < 0 || u > 1 || v < 0 || v > 1;
        const x = X(Math.min(Math.max(u, 0), 1)), y = Y(Math.min(Math.max(v, 0), 1));
        const kind = {class: "batch " + batch.outcome.replace(" ", "-"),
          opacity: faded(batch.at, batch.outcome === "fail" ? 0.35 : 0.15)};
        const mark = batch.outcome === "fail"
          ? node(marks, "path", Object.assign({d: "M" + (x - 3.5) + " " + (y - 3.5) + "l7 7m0 -7l-7 7"}, kind))
          : node(marks, "circle", Object.assign({cx: x, cy: y, r: 3}, kind));
        node(mark, "title", {}, batch.name + ": " + batch.outcome + (out ? ", beyond the ranges searched" : ""));
      }
      const x = X(data.start[a]), y = Y(data.start[b]);
      const diamond = "M" + x + " " + (y - 5) + "l5 5l-5 5l-5 -5z";
      node(marks, "path", {class: "set-point", d: diamond, opacity: faded(data.start, 0.35)});
    }

    function here() {
      let share = 0;
      for (const [offset, weight] of corners([])) share += weight * chance[offset];
      share /= data.shares;
      let words = "At the sliders: predicted probability " + (share >= 0.995 ? "above 0.99" : share.toFixed(2))
        + " that every limit is met; ";
      const inside = data.sides.length
        ? data.sides.every(s => s[d] - at.reduce((sum, x, k) => sum + s[k] * x, 0) >= -1e-9)
        : data.box !== null && through(-1, -1);
      words += data.box === null ? "there is no operating box." : inside
        ? "inside the operating range." : "outside the operating range: not certified.";
      verdict.textContent = words;
    }

    function update() {
      for (let k = 0; k < d; k++) {
        const s = data.settings[k], value = s.low + at[k] * (s.high - s.low);
        const text = number(value, (s.high - s.low) / 10) + (s.unit && s.unit !== "1" ? " " + s.unit : "");
        outputs[k].textContent = text;
        sliders[k].setAttribute("aria-valuetext", text);
      }
      here();
      drawn.forEach(draw => draw());
    }

    for (let b = 1; b < d; b++) for (let a = 0; a < b; a++) panel(a, b);
    sliders.forEach((slider, k) => slider.addEventListener("input", () => {
      at[k] = slider.value / slider.max;
      update();
    }));
    panels.style.gridTemplateColumns = "repeat(" + (d - 1) + ", 1fr)";
    update();
    block.hidden = false;
  }

  document.querySelectorAll(".slices").forEach(start);
})();
"""

__all__ = ["SCRIPT"]
