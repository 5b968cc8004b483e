"""1,000 phases to checked workflows: TOML against `tomllib.loads` of the same text, YAML against PyYAML by libyaml."""

from __future__ import annotations

import gc
import time
import tomllib
from collections.abc import Callable, Iterator

import yaml
from table import Row, alternately, medians

from flowlord.spec.parse import parse

PHASES = 1_000
GOAL = 1.5
PAIRS = 15


def phases() -> Iterator[str]:
    """Yield a file of chains of four, every name, rule and template different from the others."""
    for n in range(PHASES):
        job, chain = f"source{n}", n - n % 4
        match n % 4:
            case 0:
                yield f'task = "extract:{job}"'
                yield f'rule = "cron=0 {n % 60} {n % 24} * * *&offset=-{n}h&retry_delay={n}s"'
                yield f'template = "s3://lake/{{yyyy}}/{{mm}}/{{dd}}/{{hh}}/{job}.json.gz?format=json"'
            case 1:
                yield f'task = "load:{job}"'
                yield f'dependsOn = "extract:source{chain}"'
                yield f'rule = "require={{meta:file{n}}}&retry_delay={n}s"'
                yield f'template = "{{meta:file{n}}}?table=raw.{job}&date={{yyyy}}-{{mm}}-{{dd}}"'
            case 2:
                yield f'task = "transform:{job}"'
                yield f'dependsOn = "load:source{chain + 1}"'
                yield f'rule = "priority=7&timeout={n}m"'
                yield f'template = "?table=mart.{job}&day={{yyyy}}-{{mm}}-{{dd}}"'
            case _:
                yield f'task = "report:{job}"'
                yield f'dependsOn = "transform:source{chain + 2}"'
                yield f'template = "?report={n}&day={{yyyy}}-{{mm}}-{{dd}}"'
        yield f"retry = {n % 5}"


def text() -> str:
    """Return the file as a person would write it."""
    lines = ["# 250 chains"]
    for line in phases():
        lines += ["", "[[phase]]", line] if line.startswith("task") else [line]
    return "\n".join(lines) + "\n"


def rarer() -> str:
    """Return the same with one long string in it, so that tomllib must read it for us."""
    return text().replace('"?report=3&day={yyyy}-{mm}-{dd}"', "'''?report=3&day={yyyy}-{mm}-{dd}'''", 1)


def in_yaml() -> str:
    """Return the same in YAML, in blocks as people write it."""
    lines = ["# 250 chains", "phases:"]
    for line in phases():
        key, value = line.split(" = ", 1)
        lines += ["", f"- {key}: {value}"] if key == "task" else [f"  {key}: {value}"]
    return "\n".join(lines) + "\n"


def timed(body: Callable[[], object]) -> Callable[[], float]:
    """Return what measures one run of `body` in milliseconds of this process: nobody waits for anything here."""

    def run() -> float:
        gc.collect()
        begin = time.process_time()
        body()
        return (time.process_time() - begin) * 1e3

    return run


def compare(name: str, file: str, written: str, floor: Callable[[str], object], goal: float | None) -> Row:
    """Measure one text on both sides."""
    data = written.encode()
    flow, problems = parse(data, file)
    assert flow is not None, problems
    assert len(flow.phases) == PHASES
    found = alternately(timed(lambda: parse(data, file)), timed(lambda: floor(written)), PAIRS)
    ours, theirs, ratio = medians(found)
    told = f"{ours:.1f} ms", f"{theirs:.1f} ms", f"{ratio:.2f}"
    return Row(name, *told) if goal is None else Row(name, *told, f"<= {goal}", ratio <= goal)


def rows() -> list[Row]:
    """Return what is measured here."""
    return [
        compare("load 1,000 phases", "bench.toml", text(), tomllib.loads, GOAL),
        compare("load 1,000 phases, one with a long string", "bench.toml", rarer(), tomllib.loads, None),
        compare("load 1,000 phases in YAML", "bench.yaml", in_yaml(), by_libyaml, None),
    ]


def by_libyaml(written: str) -> object:
    """Read a text as PyYAML does at its fastest."""
    return yaml.load(written, yaml.CSafeLoader)


def main() -> None:
    """Print the ratios."""
    for row in rows():
        print(f"{row.name}: {row.ours} / {row.floor} = {row.ratio} {row.goal} {row.verdict}".rstrip())


if __name__ == "__main__":
    main()
