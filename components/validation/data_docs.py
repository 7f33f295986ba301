"""Great Expectations' own pages, Data Docs, made to need no network.

In: the results of suites as Great Expectations returns them. Out: a folder with a page a suite and
`data_docs.html` that lists them. Its templates load styles, scripts and pictures from several other
hosts; all of that is taken out and a short style of our own put in, so that opening a page tells
nobody. What the pages say is Great Expectations' doing, unchanged.
"""

import html
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

INDEX = "data_docs.html"
STYLE = """
:root{color-scheme:light dark;--line:#8884}
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:0 auto!important;padding:1rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;
border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
nav,.col-2,.col-lg-2,footer,.modal,#ge-cta-footer,.cooltip .top{display:none!important}
.badge{border:1px solid var(--line);border-radius:4px;padding:0 .3em}
.fa-check-circle:before,.fa-check:before{content:"\\2713";color:#1a7f37}
.fa-times:before,.fa-times-circle:before,.fa-exclamation-triangle:before{content:"\\2717";
color:#c62828}
.row,.container,.container-fluid{display:block;padding:0;margin:0}
.show-scrollbars{overflow-x:auto}ul{padding-left:1.2rem}
"""
# What a page may load or send a reader to.
_OUTSIDE = (
    re.compile(r"<script\b.*?</script>", re.DOTALL | re.IGNORECASE),
    re.compile(r"<link\b[^>]*>", re.IGNORECASE),
    re.compile(r"<footer\b.*?</footer>", re.DOTALL | re.IGNORECASE),
    re.compile(r"<style\b.*?</style>", re.DOTALL | re.IGNORECASE),
    re.compile(r"<(?:img|iframe|object|embed)\b[^>]*>", re.IGNORECASE),
    re.compile(r"\s(?:href|src|action)\s*=\s*([\"'])(?:https?:)?//.*?\1", re.IGNORECASE),
    re.compile(r"\son[a-z]+\s*=\s*([\"']).*?\1", re.DOTALL | re.IGNORECASE),
)
_URL = re.compile(r"(?:https?:)?//[A-Za-z0-9][^\s\"'<>)]*")


def without_outside(page: str) -> str:
    """Take out of a page whatever would be fetched from, or lead to, another host.

    >>> without_outside('<a href="https://a.example/x">y</a><script src="//b.example/z"></script>')
    '<a>y</a>'
    """
    for pattern in _OUTSIDE:
        page = pattern.sub("", page)
    return _URL.sub("", page)


def file_name(suite: str) -> str:
    """Return a suite's page.

    >>> file_name("events: rows")
    'data_docs-events-rows.html'
    """
    return f"data_docs-{re.sub('[^a-z0-9_]+', '-', suite.lower()).strip('-')}.html"


def write_data_docs(folder: Path, results: Mapping[str, Any]) -> None:
    """Write the pages of all suites, replacing those of an earlier run.

    Args:
        folder: where they go.
        results: Great Expectations' result by suite, in the order wanted.
    """
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view.view import DefaultJinjaPageView

    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    renderer, view = ValidationResultsPageRenderer(), DefaultJinjaPageView()
    rows = []
    for suite, result in results.items():
        for one in result.results:
            _plain(one.result)
        page = without_outside(view.render(renderer.render(result)))
        page = page.replace("</head>", f"<style>{STYLE}</style></head>", 1)
        name = file_name(suite)
        (partial / name).write_text(page, encoding="utf-8")
        failed = sum(not one.success for one in result.results)
        rows.append(
            f'<tr><td><a href="{name}">{html.escape(suite)}</a></td>'
            f"<td>{len(result.results)}</td><td>{failed}</td></tr>"
        )
    (partial / INDEX).write_text(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Data Docs</title><style>{STYLE}</style></head><body><h1>Data Docs</h1>"
        "<p>Great Expectations' own pages. A row check is a column of verdicts, true for a row "
        "that holds; a measure is a column of one number.</p>"
        "<table><tr><th>Suite</th><th>Expectations</th><th>Failed</th></tr>"
        f"{''.join(rows)}</table></body></html>",
        encoding="utf-8",
    )
    shutil.rmtree(folder, ignore_errors=True)
    partial.replace(folder)


def _plain(result: dict[str, Any]) -> None:
    """Turn numpy's numbers into Python's: the templates can word no others."""
    for key, value in result.items():
        if hasattr(value, "item"):
            result[key] = value.item()
