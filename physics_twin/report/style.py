"""How the page looks, on a screen and on paper; it reads in grayscale: marks have signs, frames differ in weight."""

CSS = """
:root { --ink: #1f2429; --muted: #5b6670; --line: #d5dade; --accent: #0b5394; --paper: #ffffff; --soft: #f4f6f8; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: #eceff1; color: var(--ink);
  font: 15.5px/1.5 "Segoe UI", "Helvetica Neue", Helvetica, Arial, "Liberation Sans", "DejaVu Sans", sans-serif; }
main { max-width: 60rem; margin: 1.5rem auto; padding: 2.4rem 3rem 3rem; background: var(--paper);
  box-shadow: 0 1px 4px rgba(0, 0, 0, .18); }
header { border-bottom: 3px solid var(--accent); margin-bottom: 1.4rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .2rem; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 .6rem; padding-bottom: .2rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1.03rem; margin: 1.5rem 0 .4rem; }
p { margin: .5rem 0; }
.subtitle { color: var(--muted); margin: .1rem 0 .8rem; }
a { color: var(--accent); }
nav h2 { font-size: .85rem; text-transform: uppercase; letter-spacing: .06em; color: var(--muted); border: 0;
  margin: 0 0 .2rem; }
nav ol { columns: 2; margin: 0; padding-left: 1.4rem; }
nav a { text-decoration: none; }
ol.summary { padding-left: 1.4rem; margin: .6rem 0 1rem; }
ol.summary li { margin: .45rem 0; padding-left: .2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: .7rem 0; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--muted); padding-bottom: .3rem; }
th, td { text-align: left; padding: .28rem .8rem .28rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { border-bottom: 2px solid var(--ink); vertical-align: bottom; font-weight: 600; }
td.number, th.number { text-align: right; white-space: nowrap; }
table.facts th { font-weight: 600; color: var(--muted); white-space: nowrap; padding-right: 1.2rem; }
table.facts td { overflow-wrap: anywhere; }
pre { background: var(--soft); padding: .6rem .9rem; font: .86em/1.45 "DejaVu Sans Mono", Consolas, Menlo, monospace; }
figure { margin: 1.1rem 0 1.3rem; }
figure img { max-width: 100%; height: auto; display: block; margin: 0 auto; }
figcaption { color: var(--muted); font-size: .88rem; margin-top: .4rem; }
figcaption b { color: var(--ink); }
.flag { display: inline-block; border: 1.5px solid var(--ink); border-radius: 3px; padding: 0 .45em; font-size: .85em;
  font-weight: 600; white-space: nowrap; }
.flag.good { border-color: #00664d; color: #00664d; background: #eef7f3; }
.flag.doubt { border-color: #8a5a00; color: #6d4700; background: #fff6e0; }
.flag.bad { border-color: #a33a00; color: #ffffff; background: #a33a00; }
.note { border-left: 5px solid var(--line); background: var(--soft); padding: .55rem .9rem; margin: .8rem 0; }
.note p:first-child, .note ul:first-child { margin-top: 0; }
.note p:last-child, .note ul:last-child { margin-bottom: 0; }
.note.good { border-left-color: #00664d; }
.note.doubt { border-left-color: #c98a00; }
.note.bad { border-left: 9px double #a33a00; }
.box { border: 2px solid var(--accent); padding: .7rem 1.1rem; margin: 1rem 0; }
.box .range { font-size: 1.25rem; font-weight: 600; white-space: nowrap; }
.box table { margin: .2rem 0; width: 100%; }
.box td, .box th { border-bottom: 0; }
.box tr + tr td { border-top: 1px solid var(--line); }
sup { line-height: 0; font-size: .75em; }
ul { margin: .4rem 0; padding-left: 1.3rem; }
li { margin: .15rem 0; }
code { font: .86em/1.4 "DejaVu Sans Mono", Consolas, Menlo, monospace; overflow-wrap: anywhere; }
.small, footer { color: var(--muted); font-size: .85rem; }
footer { border-top: 1px solid var(--line); margin-top: 2.4rem; padding-top: .6rem; }
details { margin: .6rem 0; }
summary { cursor: pointer; color: var(--accent); }
.slices { border: 1px solid var(--line); padding: .7rem 1rem; margin: 1rem 0; }
.slices[hidden] { display: none; }
.sliders { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .4rem 1.6rem; }
.slider { display: grid; grid-template-columns: 1fr auto; font-size: .9rem; }
.slider input { grid-column: 1 / 3; width: 100%; accent-color: var(--accent); }
.slider output { grid-row: 1; grid-column: 2; font-variant-numeric: tabular-nums; font-weight: 600; }
.verdict { font-weight: 600; }
.panels { display: grid; gap: .3rem; }
.panels svg { width: 100%; height: auto; }
.panels text { font-size: 9.5px; fill: var(--ink); }
.panels text.name { font-size: 10.5px; }
.panels .border { fill: none; stroke: #4d4d4d; stroke-width: .8; }
.panels .tick { stroke: #4d4d4d; stroke-width: .8; }
.panels .frame { fill: none; stroke: #0b5394; stroke-width: 2.4; }
.panels .frame.beside { stroke-width: 1.3; stroke-dasharray: 2 3; }
.panels .frame.thin { stroke-width: 1.2; }
.panels .polytope { fill: none; stroke: #0b5394; stroke-width: 2.4; }
.panels .here { stroke: #1f2429; stroke-width: .7; stroke-dasharray: 4 3; opacity: .7; }
.panels .batch.pass { fill: #1a1a1a; stroke: #fff; stroke-width: .6; }
.panels .batch.fail { fill: none; stroke: #d55e00; stroke-width: 2; }
.panels .batch.not-judged { fill: #fff; stroke: #1a1a1a; stroke-width: 1; }
.panels .set-point { fill: #fff; stroke: #b45f06; stroke-width: 1.8; }
@media screen and (max-width: 46rem) { main { padding: 1.2rem; margin: 0; } nav ol { columns: 1; } }
@page { size: A4; margin: 17mm 16mm; }
@media print {
  body { background: #fff; font-size: 10.3pt; }
  main { box-shadow: none; margin: 0; padding: 0; max-width: none; }
  h2, h3 { break-after: avoid; }
  figure, table, .note, .box { break-inside: avoid; }
  table { font-size: 8.4pt; }
  th, td { padding-right: .55rem; }
  a { color: inherit; text-decoration: none; }
  .scroll { overflow: visible; }
  .slices { display: none; }
}
"""
