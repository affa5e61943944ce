"""How the review looks, on a screen and on paper: nothing from elsewhere, no meaning by colour alone."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root { --ink: #1a1d21; --faint: #59616b; --line: #d5dae0; --ground: #f5f7f9; --good: #17693a; --bad: #a3161e;
        --open: #7a5200; --link: #1d4f91; --added: #e8f5ec; --gone: #fbeaea; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2.2rem 1.5rem 4rem; color: var(--ink); background: #fff;
       font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
a { color: var(--link); }
header { border-bottom: 3px solid var(--ink); margin-bottom: 1.2rem; padding-bottom: .9rem; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
p, ul, ol { margin: .4rem 0; }
.faint { color: var(--faint); }
.verdict { border-left: 6px solid; padding: .5rem .9rem; font-size: 1.1rem; background: var(--ground); margin: 1rem 0; }
.verdict b { text-transform: uppercase; letter-spacing: .02em; }
.sum { display: grid; grid-template-columns: repeat(5, 1fr); gap: .6rem; margin: 1rem 0; }
.sum a { color: inherit; text-decoration: none; background: var(--ground); border: 1px solid var(--line);
         border-radius: 4px; padding: .5rem .7rem; line-height: 1.35; }
.sum b { display: block; font-size: 1.4rem; line-height: 1.2; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; table-layout: fixed; }
th, td { text-align: left; vertical-align: top; padding: .38rem .55rem; border-bottom: 1px solid var(--line);
         overflow-wrap: anywhere; }
th { background: var(--ground); font-weight: 600; }
code, pre { font: 12.5px/1.45 ui-monospace, "DejaVu Sans Mono", Menlo, monospace; }
code { overflow-wrap: anywhere; }
pre { background: var(--ground); border: 1px solid var(--line); border-radius: 4px; padding: .6rem .8rem;
      white-space: pre-wrap; overflow-wrap: anywhere; margin: .3rem 0 1rem; }
pre ins, pre del { display: block; text-decoration: none; margin: 0 -.8rem; padding: 0 .8rem; }
pre ins { background: var(--added); } pre del { background: var(--gone); }
.word { font-weight: 700; white-space: nowrap; }
.pass { color: var(--good); } .fail, .high { color: var(--bad); } .open, .medium { color: var(--open); }
.fix { display: block; margin-top: .2rem; }
.missing { border-left: 6px solid var(--open); background: #fff8e8; padding: .6rem .9rem; margin: 1rem 0; }
.narrow { width: 7rem; } .mid { width: 13rem; } .wide { width: 17.5rem; }
@page { size: A4; margin: 15mm 14mm 17mm; @bottom-right { content: counter(page) " / " counter(pages);
        font: 8pt system-ui, "DejaVu Sans", sans-serif; color: #59616b; } }
@media print {
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { max-width: none; padding: 0; font-size: 9.5pt; }
  h1 { font-size: 17pt; } h2 { font-size: 12.5pt; margin-top: 1.3rem; } h3 { font-size: 10.5pt; }
  h2, h3, thead { break-after: avoid; } tr, .sum a, .missing, .verdict, li, p { break-inside: avoid; }
  thead { display: table-header-group; } pre, code { font-size: 8pt; } a { color: inherit; text-decoration: none; }
  td, th { padding: .25rem .4rem; } .narrow { width: 6.6rem; } .mid { width: 10.5rem; } .wide { width: 14rem; }
}
@media (max-width: 44rem) { .sum { grid-template-columns: repeat(2, 1fr); } .mid, .wide { width: 35%; } }
"""
