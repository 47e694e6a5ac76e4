"""The evidence as one self-contained HTML page."""

from collections.abc import Mapping, Sequence
from html import escape

from physics_twin.verification.case import Outcome, Status

_SHOWN = 8  # values of a case in the page; report.json has all of them

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2430; margin: 2.5rem auto; max-width: 76rem; padding: 0 1.5rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .3rem; }
table { border-collapse: collapse; width: 100%; margin: .8rem 0; }
th, td { text-align: left; padding: .3rem .7rem; border-bottom: 1px solid #d9dee5; vertical-align: top; }
th { font-weight: 600; color: #4a5666; } td.n { text-align: right; font-variant-numeric: tabular-nums; }
.s { font-weight: 600; white-space: nowrap; }
.passed { color: #17663a; } .failed { color: #b3261e; } .notrun { color: #8a5a00; }
.quiet { color: #5c6877; } code { font-size: .85em; overflow-wrap: anywhere; }
dt { color: #4a5666; float: left; clear: left; width: 8.5rem; } dd { margin: 0 0 .25rem 9rem; }
"""


def page(
    outcomes: Sequence[Outcome],
    verdict: Status,
    summary: str,
    started: str,
    versions: Mapping[str, str],
    sources: Mapping[str, str],
) -> str:
    """HTML text: the verdict, a table of all cases, then a section for each with its numbers and sources."""
    rows = "\n".join(_row(outcome) for outcome in outcomes)
    sections = "\n".join(_section(outcome, sources[outcome.case.name]) for outcome in outcomes)
    software = "".join(f"<tr><td>{escape(k)}</td><td>{escape(v)}</td></tr>" for k, v in versions.items())
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Verification and validation</title><style>{_STYLE}</style></head>
<body>
<h1>Verification and validation: {_verdict(verdict)}</h1>
<p>{escape(summary)} <span class="quiet">started {escape(started)}</span></p>
<table><tr><th>case</th><th>claim</th><th>error</th><th>tolerance</th><th>s</th><th>outcome</th></tr>
{rows}
</table>
{sections}
<h2>Software</h2>
<table>{software}</table>
</body></html>
"""


def _verdict(status: Status) -> str:
    """Of the whole: where some cases were not run and none failed it is incomplete."""
    return '<span class="s notrun">incomplete</span>' if status is Status.NOT_RUN else _status(status)


def _status(status: Status) -> str:
    return f'<span class="s {status.value.replace(" ", "")}">{status.value}</span>'


def _row(o: Outcome) -> str:
    error = f"{o.error:.2e}" if o.measured else ""
    return (
        f'<tr><td><a href="#{escape(o.case.name)}">{escape(o.case.name)}</a></td><td>{escape(o.case.claim)}</td>'
        f'<td class="n">{error}</td><td class="n">{o.case.tolerance:.3g}</td><td class="n">{o.seconds:.2f}</td>'
        f"<td>{_status(o.status)}</td></tr>"
    )


def _section(o: Outcome, source_hash: str) -> str:
    c = o.case
    terms = {
        "claim": c.claim,
        "requirement": c.requirement,
        "source": c.source,
        "acceptance": f"error ({c.measure.text}) of at most {c.tolerance:.3g}: {c.acceptance}",
        **({"message": o.message} if o.message else {}),
        **o.details,
    }
    told = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in terms.items())
    pairs = list(zip(o.measured, c.expected, strict=False))
    values = "".join(f'<tr><td class="n">{m:.15g}</td><td class="n">{e:.15g}</td></tr>' for m, e in pairs[:_SHOWN])
    table = f"<table><tr><th>measured: {escape(c.quantity)}</th><th>expected</th></tr>{values}</table>" if pairs else ""
    more = f'<p class="quiet">{len(pairs) - _SHOWN} more in report.json</p>' if len(pairs) > _SHOWN else ""
    return (
        f'<h2 id="{escape(c.name)}">{escape(c.name)} {_status(o.status)}</h2><dl>{told}'
        f"<dt>sha256</dt><dd><code>{escape(source_hash)}</code></dd></dl>{table}{more}"
    )
