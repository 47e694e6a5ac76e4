"use strict";
// One page for all assets: it asks for the state of one of them every two seconds and draws it. Nothing is sent.

const SVG = "http://www.w3.org/2000/svg";
const EVERY = 2000; // ms
const W = 560, H = 230, LEFT = 62, RIGHT = 14, TOP = 8, BOTTOM = 26;

function el(kind, attributes, text) {
  const made = document.createElement(kind);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function svg(kind, attributes, text) {
  const made = document.createElementNS(SVG, kind);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function number(x, sd) {
  if (x === null || x === undefined) return "not known";
  const size = Math.abs(sd > 0 ? sd : x / 1000);
  const digits = size > 0 ? Math.min(Math.max(1 - Math.floor(Math.log10(size)), 0), 9) : 2;
  return x.toFixed(digits);
}

const unitText = (unit) => (unit === "1" || unit === "" ? "" : unit.replace("degC", "\u00b0C"));
const named = (name, unit) => (unitText(unit) ? `${name} [${unitText(unit)}]` : name);
const clock = (ms, days) => new Date(ms).toISOString().slice(...(days ? [5, 16] : [11, 19])).replace("T", " ");

function duration(s) {
  if (s === null || s === undefined) return "never";
  if (s < 120) return `${s.toFixed(1)} s`;
  return s < 7200 ? `${(s / 60).toFixed(0)} min` : `${(s / 3600).toFixed(1)} h`;
}

function ticks(low, high, n) {
  const raw = (high - low) / n, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= raw);
  const found = [];
  for (let x = Math.ceil(low / step) * step; x <= high + 1e-9 * step; x += step) found.push(x);
  return { found, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

// Round steps of a clock: seconds, minutes, hours, days.
function clockTicks(low, high) {
  const steps = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 604800];
  const step = 1000 * (steps.find((s) => (high - low) / (1000 * s) <= 6) || 2592000);
  const found = [];
  for (let t = Math.ceil(low / step) * step; t <= high; t += step) found.push(t);
  return found;
}

// rows: [time, low, mean, high]; points: [time, value, used, why]
function chart(rows, points, label) {
  const times = rows.map((r) => r[0]);
  const t0 = Math.min(...times), t1 = Math.max(...times, t0 + 1000);
  // What was turned away may be far off: it is drawn at the edge, and does not flatten the rest.
  const inside = [...rows.slice(rows.length > 30 ? 5 : 0).flatMap((r) => [r[1], r[3]]), ...points.filter((p) => p[2]).map((p) => p[1])];
  let low = Math.min(...inside), high = Math.max(...inside);
  const pad = 0.06 * (high - low) || 0.01 * Math.abs(high) || 1;
  low -= pad; high += pad;
  const x = (t) => LEFT + ((t - t0) / (t1 - t0)) * (W - LEFT - RIGHT);
  const y = (v) => TOP + ((high - Math.min(Math.max(v, low), high)) / (high - low)) * (H - TOP - BOTTOM);
  const drawn = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": label });
  const { found, digits } = ticks(low, high, 5);
  for (const v of found) {
    drawn.append(svg("line", { class: "grid", x1: LEFT, x2: W - RIGHT, y1: y(v), y2: y(v) }));
    drawn.append(svg("text", { x: LEFT - 6, y: y(v) + 4, "text-anchor": "end" }, v.toFixed(digits)));
  }
  const long = t1 - t0 > 86400e3;
  for (const t of clockTicks(t0, t1)) {
    drawn.append(svg("line", { class: "grid", x1: x(t), x2: x(t), y1: TOP, y2: H - BOTTOM }));
    const word = clock(t, long);
    drawn.append(svg("text", { x: x(t), y: H - 8, "text-anchor": "middle" }, long || t1 - t0 < 600e3 ? word : word.slice(0, 5)));
  }
  const up = rows.map((r) => `${x(r[0]).toFixed(1)},${y(r[3]).toFixed(1)}`);
  const down = rows.map((r) => `${x(r[0]).toFixed(1)},${y(r[1]).toFixed(1)}`).reverse();
  drawn.append(svg("polygon", { class: "band", points: [...up, ...down].join(" ") }));
  drawn.append(svg("polyline", { class: "mean", points: rows.map((r) => `${x(r[0]).toFixed(1)},${y(r[2]).toFixed(1)}`).join(" ") }));
  for (const [t, v, used, why] of points) {
    if (v === null) continue;
    if (used) { drawn.append(svg("circle", { class: "good", cx: x(t).toFixed(1), cy: y(v).toFixed(1), r: 1.6 })); continue; }
    const cross = svg("path", { class: "bad", d: `M${x(t) - 4} ${y(v) - 4}l8 8m0 -8l-8 8` });
    cross.append(svg("title", {}, `${clock(t)}: ${why}`));
    drawn.append(cross);
  }
  drawn.append(svg("rect", { class: "frame", x: LEFT, y: TOP, width: W - LEFT - RIGHT, height: H - TOP - BOTTOM }));
  return drawn;
}

function figure(title, drawn) {
  const made = el("figure");
  made.append(el("figcaption", {}, title), drawn);
  return made;
}

function ranges(name, [low, high, present, unit]) {
  const span = high - low, from = Math.min(low - 0.3 * span, present), to = Math.max(high + 0.3 * span, present);
  const x = (v) => LEFT + ((v - from) / (to - from || 1)) * (W - 2 * LEFT);
  const drawn = svg("svg", { viewBox: `0 0 ${W} 78`, role: "img", "aria-label": name });
  drawn.append(svg("rect", { class: "boxed", x: x(low), y: 16, width: x(high) - x(low), height: 26 }));
  const inside = low <= present && present <= high;
  drawn.append(svg("line", { class: inside ? "now" : "now out", x1: x(present), x2: x(present), y1: 8, y2: 50 }));
  drawn.append(svg("text", { x: x(low), y: 60, "text-anchor": "middle" }, number(low)));
  drawn.append(svg("text", { x: x(high), y: 60, "text-anchor": "middle" }, number(high)));
  drawn.append(svg("text", { x: x(present), y: 74, "text-anchor": "middle" }, `now ${number(present)}`));
  return figure(`${named(name, unit)}: ${inside ? "inside" : "OUTSIDE the certified range"}`, drawn);
}

// Two settings at once: the box, and where the plant is.
function square(envelope) {
  const [[nameX, ex], [nameY, ey]] = Object.entries(envelope);
  const reach = ([low, high, now]) => [Math.min(low - 0.3 * (high - low), now), Math.max(high + 0.3 * (high - low), now)];
  const [x0, x1] = reach(ex), [y0, y1] = reach(ey);
  const x = (v) => LEFT + ((v - x0) / (x1 - x0 || 1)) * (W - LEFT - RIGHT), y = (v) => TOP + ((y1 - v) / (y1 - y0 || 1)) * (H - TOP - BOTTOM);
  const drawn = svg("svg", { viewBox: `0 0 ${W} ${H + 14}`, role: "img", "aria-label": "envelope" });
  for (const v of ticks(x0, x1, 5).found) drawn.append(svg("text", { x: x(v), y: H - 8, "text-anchor": "middle" }, number(v, x1 - x0)));
  for (const v of ticks(y0, y1, 5).found) drawn.append(svg("text", { x: LEFT - 6, y: y(v) + 4, "text-anchor": "end" }, number(v, y1 - y0)));
  drawn.append(svg("rect", { class: "frame", x: LEFT, y: TOP, width: W - LEFT - RIGHT, height: H - TOP - BOTTOM }));
  drawn.append(svg("rect", { class: "boxed", x: x(ex[0]), y: y(ey[1]), width: x(ex[1]) - x(ex[0]), height: y(ey[0]) - y(ey[1]) }));
  const inside = ex[0] <= ex[2] && ex[2] <= ex[1] && ey[0] <= ey[2] && ey[2] <= ey[1];
  drawn.append(svg("circle", { class: inside ? "good" : "bad", cx: x(ex[2]), cy: y(ey[2]), r: 6 }));
  drawn.append(svg("text", { x: (W + LEFT) / 2, y: H + 10, "text-anchor": "middle" }, named(nameX, ex[3])));
  return figure(`${named(nameY, ey[3])} over ${named(nameX, ex[3])}: the plant is ${inside ? "inside" : "OUTSIDE"}`, drawn);
}

function show(state) {
  document.title = `${state.status}: ${state.name}`;
  document.getElementById("title").textContent = `Twin of ${state.name}`;
  const summary = document.getElementById("summary");
  const facts = [
    ["twin time (UTC)", state.time ? state.time.replace("T", " ").replace(/(\.\d)\d*/, "$1").replace("Z", "") : state.status === "WAITING" ? "waits for its first sample" : "not known"],
    ["last sample used", state.lag_s === null ? "never" : `${duration(state.lag_s)} before`],
    ["waiting", state.pending === null ? "-" : `${state.pending} entries`],
    ["consistency (NIS, 1 expected)", number(state.nis, 0.1)],
    ["plant", [state.mode, state.batch].filter(Boolean).join(", ") || "-"],
    ["model", state.model || "-"],
  ];
  summary.replaceChildren(el("span", { class: `status ${state.status.split(" ")[0]}`, id: "status" }, state.status));
  for (const [name, text] of facts) {
    const made = el("span");
    made.append(el("b", {}, name), text);
    summary.append(made);
  }
  const alarms = state.alarms.map((words) => el("li", { class: "alarm" }, words));
  document.getElementById("alarms").replaceChildren(...(alarms.length ? alarms : [el("li", { class: "none" }, "none")]));
  const table = document.getElementById("present");
  const head = el("tr");
  head.append(el("th", {}, "quantity"), el("th", { class: "n" }, "value"), el("th", { class: "n" }, "\u00b1 (95 %)"), el("th", {}, "unit"));
  const rows = Object.entries(state.present).map(([name, [mean, sd, unit]]) => {
    const row = el("tr");
    row.append(el("td", {}, name), el("td", { class: "n", "data-value": name }, number(mean, sd)));
    row.append(el("td", { class: "n" }, sd === null ? "" : number(1.96 * sd, sd)), el("td", {}, unitText(unit)));
    return row;
  });
  table.replaceChildren(head, ...rows);
  const charts = Object.entries(state.channels).map(([name, one]) => {
    const kept = one.rows.filter((r) => r[2] !== null && r[3] !== null);
    const band = kept.map(([t, , p, sd]) => [t, p - 1.96 * sd, p, p + 1.96 * sd]);
    return band.length ? figure(named(name, one.unit), chart(band, kept.map(([t, v, , , used, why]) => [t, v, used, why]), name)) : el("p", {}, `${name}: nothing yet`);
  });
  document.getElementById("channels").replaceChildren(...charts);
  const courses = Object.entries(state.parameters).map(([name, one]) => {
    const band = one.rows.map(([t, m, sd]) => [t, m - 1.96 * sd, m, m + 1.96 * sd]);
    return figure(named(name, one.unit), band.length > 1 ? chart(band, [], name) : el("p", {}, "one value so far"));
  });
  document.getElementById("parameters").replaceChildren(...courses);
  const settings = Object.entries(state.envelope);
  document.getElementById("envelope_section").hidden = !settings.length;
  const both = settings.length === 2 ? [square(state.envelope)] : settings.map(([name, one]) => ranges(name, one));
  document.getElementById("envelope").replaceChildren(...both);
}

function links(found, here) {
  const made = found.assets.map((one) => {
    const link = el("a", { href: `/assets/${encodeURIComponent(one.name)}`, class: one.name === here ? "here" : "" });
    link.textContent = `${one.name}: ${one.status}`;
    return link;
  });
  document.getElementById("assets").replaceChildren(...made);
}

async function ask(address) {
  const answer = await fetch(address, { cache: "no-store" });
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return answer.json();
}

async function refresh() {
  const foot = document.getElementById("foot");
  try {
    const found = await ask("/assets");
    const path = decodeURIComponent(location.pathname).split("/");
    const here = path[1] === "assets" && path[2] ? path[2] : found.assets[0].name;
    links(found, here);
    show(await ask(`/assets/${encodeURIComponent(here)}/state`));
    const ready = found.service.length ? `NOT READY: ${found.service.join("; ")}` : "ready";
    foot.textContent = `service ${ready}; page drawn at ${clock(Date.now())} UTC, all times UTC`;
  } catch (error) {
    document.title = "no answer";
    foot.textContent = `No answer from the service (${error.message}): what is shown is old.`;
    document.getElementById("alarms").replaceChildren(el("li", { class: "alarm" }, "no answer from the service: what is shown is old"));
  }
  setTimeout(refresh, EVERY);
}

refresh();
