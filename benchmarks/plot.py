# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A chart as SVG, by hand: a few lines need no library."""

from __future__ import annotations

from collections.abc import Sequence

_WIDTH, _HEIGHT = 720, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 24, 44, 48
# GitHub shows the picture on white or on near black, as the reader has it.
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.grid { stroke: #d1d9e0 } .a { --c: #0969da } .b { --c: #bc4c00 }
.line { fill: none; stroke: var(--c); stroke-width: 2 } .dot { fill: var(--c) }
.name { fill: var(--c); font-weight: 600 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .grid { stroke: #3d444d } .a { --c: #4493f8 } .b { --c: #f0883e } .name { fill: var(--c) }
}"""


def lines(title: str, x_name: str, y_name: str, series: Sequence[tuple[str, dict[int, float]]]) -> str:
    """A chart of up to two series, value by whole number."""
    most_x = max(x for _name, points in series for x in points)
    step = _step(max(y for _name, points in series for y in points.values()))
    most_y = step * (int(max(y for _name, points in series for y in points.values()) / step) + 1)

    def at(x: float, y: float) -> tuple[float, float]:
        across = _LEFT + (_WIDTH - _LEFT - _RIGHT) * x / most_x
        return round(across, 1), round(_HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * y / most_y, 1)

    drawn = [f'<text x="{_LEFT}" y="18" font-weight="600">{title}</text>']
    for number in range(round(most_y / step) + 1):
        x, y = at(0, number * step)
        drawn.append(f'<line class="grid" x1="{x}" y1="{y}" x2="{_WIDTH - _RIGHT}" y2="{y}"/>')
        drawn.append(f'<text x="{x - 8}" y="{y + 4}" text-anchor="end">{number * step:g}</text>')
    for tick in sorted({x for _name, points in series for x in points}):
        x, y = at(tick, 0)
        drawn.append(f'<text x="{x}" y="{y + 20}" text-anchor="middle">{tick}</text>')
    drawn.append(f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 8}" text-anchor="end">{x_name}</text>')
    drawn.append(f'<text x="{_LEFT}" y="36">{y_name}</text>')
    for kind, (name, points) in zip("ab", series):
        places = [at(x, y) for x, y in sorted(points.items())]
        drawn.append(f'<g class="{kind}"><path class="line" d="M{" L".join(f"{x},{y}" for x, y in places)}"/>')
        drawn += [f'<circle class="dot" cx="{x}" cy="{y}" r="4"/>' for x, y in places]
        x, y = places[-1]
        drawn.append(f'<text class="name" x="{x}" y="{y - 10}" text-anchor="end">{name}</text></g>')
    body = "\n".join(drawn)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title}">\n'
        f"<style>{_STYLE}\n</style>\n{body}\n</svg>\n"
    )


def _step(most: float) -> float:
    """Between three and eight lines of the grid, at round numbers."""
    size = 1.0
    while most / size > 8:
        size *= 10
    while most / size < 0.8:
        size /= 10
    return next(size * part for part in (0.1, 0.2, 0.25, 0.5, 1.0) if most / (size * part) <= 8)
