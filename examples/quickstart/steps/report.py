"""The last step, as a command: draws what is there so far. Usage: report.py 'FILE?of=ROWS'

It runs after every planet, several at a time, so it works under a lock and puts its files there whole: whoever comes
last has seen everything.
"""

import fcntl
import json
import math
import sys
from pathlib import Path
from urllib.parse import parse_qs

BAR = 34


def main(info: str) -> None:
    """Draw `out/*.json` as a text and as a picture."""
    path, _, query = info.partition("?")
    report = Path(path)
    expected = int(parse_qs(query).get("of", ["0"])[0])
    with (report.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        planets = [json.loads(file.read_text("utf-8")) for file in report.parent.glob("[A-Z]*.json")]
        planets.sort(key=lambda planet: planet["distance_au"])
        write(report, table(planets, expected))
        write(report.with_suffix(".svg"), picture(planets))
    print(f"{len(planets)} of {expected} planets", file=sys.stderr)


def write(path: Path, text: str) -> None:
    """Put the file there whole."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, "utf-8")
    part.replace(path)


def table(planets: list[dict], expected: int) -> str:
    """Return one line for each planet; the bar is its year, each step of it the same factor longer."""
    longest = math.log(max(planet["period_years"] for planet in planets) * 5)
    lines = [
        f"Kepler's third law: T²/a³ is the same for every planet    ({len(planets)} of {expected} planets)",
        "",
        f"{'planet':<8} {'distance':>9} {'year':>10}  {'T²/a³':>6}  {'tries':>5}  its year, on a logarithmic scale",
    ]
    for planet in planets:
        length = round(BAR * math.log(max(planet["period_years"] * 5, 1)) / longest)
        lines.append(
            f"{planet['planet']:<8} {planet['distance_au']:>6.2f} au {planet['period_years']:>8.2f} y"
            f"  {planet['kepler']:>6.3f}  {planet['tries']:>5}  {'█' * max(length, 1)}"
        )
    return "\n".join(lines) + "\n"


def picture(planets: list[dict]) -> str:
    """Return distance against year, both logarithmic: by the law all planets lie on one line of slope 3/2."""

    def at(distance: float, period: float) -> tuple[float, float]:
        return 80 + 220 * (math.log10(distance) + 0.5), 420 - 130 * (math.log10(period) + 0.75)

    (x1, y1), (x2, y2) = at(0.33, 0.33**1.5), at(36, 36**1.5)
    drawn = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 460" font-family="sans-serif" font-size="13">',
        '<rect width="640" height="460" fill="#10131a"/>',
        f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" stroke="#5b6b8c" stroke-dasharray="5 5"/>',
        '<text x="24" y="34" fill="#fff" font-size="17">Kepler: the year squared is the distance cubed</text>',
        '<text x="430" y="444" fill="#9ab">distance from the sun →</text>',
        '<text x="24" y="64" fill="#9ab">↑ length of the year</text>',
    ]
    for planet in planets:
        x, y = at(planet["distance_au"], planet["period_years"])
        radius = 2.2 * math.log(planet["diameter_km"] / 1500)
        drawn.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="#f2c14e"/>')
        drawn.append(f'<text x="{x + 14:.1f}" y="{y + 16:.1f}" fill="#fff">{planet["planet"]}</text>')
    return "\n".join([*drawn, "</svg>"]) + "\n"


if __name__ == "__main__":
    main(sys.argv[1])
