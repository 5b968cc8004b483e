"""Every code of the registry: a file that triggers it, and the place where it is told."""

import pytest

from flowlord.model.problem import Severity
from flowlord.spec.codes import CODES
from flowlord.spec.parse import parse

HEAD = '[[phase]]\ntask = "t"\n'
CRON = HEAD + 'rule = "cron=@daily"\n'


def rule(text: str) -> str:
    return f"{HEAD}rule = '{text}'\n"


# code -> name, text, and the marked place: line, column, end
EXAMPLES: dict[str, list[tuple[str, str | bytes, tuple[int, int, int]]]] = {
    "FL002": [
        ("a.toml", b'[[phase]]\ntask = "\xff"\n', (2, 9, 0)),
        ("a.toml", "x = 1\n\0", (2, 1, 2)),
    ],
    "FL003": [
        ("a.toml", "# " + "x" * (1 << 20), (0, 0, 0)),
        ("a.toml", "a = 1\nb = '" + "x" * 70_000 + "'", (2, 1, 1)),
        ("a.toml", "[[phase]]\n" * 5_001, (5_001, 1, 1)),
        ("a.toml", "x-a = 1\nx-b = [[" + "1," * 5_001 + "]]", (2, 8, 8)),
        ("a.toml", "[x-a]\n[[x-a.b]]\n[x-a.b.c]\n" + "".join(f"k{n} = 1\n" for n in range(1_001)), (3, 8, 9)),
        ("a.yaml", "phases: [" + "a," * 5_001 + "]", (1, 10_010, 10_011)),
        (
            "a.yaml",
            f"a: &a [b, &c '{'x' * 8_000}']\nd: [" + "*c, " * 12 + "*a, " * 21 + "*a]\n",
            (2, 133, 135),
        ),
        ("a.yaml", "phases: {" + "".join(f"{n}," for n in range(1_001)) + "}", (1, 3_900, 3_904)),
        ("a.toml", rule("&a" * 501), (3, 8, 1012)),
    ],
    "FL004": [
        ("a.toml", f"{'.'.join('a' * 18)} = 1", (1, 1, 37)),
        ("a.toml", f"x = {'[' * 33}{']' * 33}", (1, 37, 38)),
        ("a.yaml", f"x: {'[' * 33}{']' * 33}", (1, 35, 36)),
    ],
    "FL005": [
        ("a.toml", "The brown fox", (1, 5, 6)),
        ("a.toml", '[[phase]]\ntask = "t\nretry = 1\n', (2, 8, 10)),
        ("a.toml", "x = " + "9" * 5_000, (1, 5, 5_005)),
    ],
    "FL006": [("a.yaml", "phases:\n\t- task: a\n", (2, 1, 2)), ("a.yaml", "phases: *nobody", (1, 9, 16))],
    "FL007": [
        ("a.yaml", "phases: !!python/object:os.system {}", (1, 9, 36)),
        ("a.yaml", "phases: !!set {a}", (1, 9, 16)),
        ("a.yaml", "a: &a {b: c}\nd:\n  <<: *a\n", (3, 3, 5)),
        ("a.yaml", "phases: &a [*a]", (1, 13, 15)),
        ("a.yaml", "a: &a b\nc: [" + "*a, " * 101 + "]", (2, 405, 407)),
        ("a.yaml", "a: b\n---\nc: d\n", (2, 1, 4)),
        ("a.yaml", "? [a]\n: b", (1, 3, 4)),
    ],
    "FL008": [("a.yaml", "phases:\n- task: a\n  task: b\n", (3, 3, 7))],
    "FL009": [("a.toml", HEAD + "".join(f"k{n} = 1\n" for n in range(301)), (0, 0, 0))],
    "FL010": [
        ("a.toml", '[[phase]]\ntask = "t"\nretry = "3"\n', (3, 9, 12)),
        ("a.toml", "[[phase]]\ntask = 5\n", (2, 8, 9)),
        ("a.toml", '[phase]\ntask = "t"\n', (1, 2, 7)),
        ("a.toml", HEAD + "rule = { cron = 2024-01-01 }\n", (3, 17, 27)),
        ("a.yaml", "phases:\n- task: t\n  template: [a]\n", (3, 13, 16)),
        ("a.yaml", "- a\n- b\n", (1, 1, 2)),
        ("a.yaml", "phases: [a]\n", (1, 10, 11)),
    ],
    "FL011": [
        ("a.toml", "x = 1\n[[phase]]\nretry = 1\n", (2, 1, 10)),
        ("a.toml", "[[phase]]\ntask = ''\n", (2, 8, 10)),
    ],
    "FL012": [
        ("a.toml", '[[phase]]\ntask = "t"\ntempalte = "x"\n', (3, 1, 9)),
        ("a.toml", '[[phaes]]\ntask = "t"\n', (1, 3, 8)),
        ("a.toml", '[[phase]]\ntsk = "t"\n', (2, 1, 4)),
    ],
    "FL013": [("a.toml", CRON + 'owner = "me"\n', (4, 1, 6))],
    "FL014": [("a.toml", HEAD + 'dependsOn = "a"\ndepends_on = "b"\n', (4, 1, 11))],
    "FL015": [
        ("a.toml", HEAD + "retry = -1\n", (3, 9, 11)),
        ("a.toml", HEAD + "retry = 9_999_999\n", (3, 9, 18)),
    ],
    "FL016": [("a.toml", HEAD + 'dependsOn = ["a", "b"]\n', (3, 13, 23))],
    "FL017": [("a.toml", "# nothing\n", (1, 1, 1))],
    "FL018": [
        ("a.toml", '[[phase]]\ntask = ":j"\n', (2, 8, 12)),
        ("a.toml", HEAD + 'dependsOn = ":j"\n', (3, 13, 17)),
    ],
    "FL019": [
        ("a.toml", '[[phase]]\ntask = "done"\nrule = "cron=@daily"\n', (2, 8, 14)),
        ("a.toml", '[[phase]]\ntask = "quarantine:x"\nrule = "cron=@daily"\n', (2, 8, 22)),
        ("a.yaml", "phases:\n- task: done\n  dependsOn: a\n", (2, 9, 13)),
    ],
    "FL020": [("a.toml", rule("cron=@daily&colour=red"), (3, 21, 27))],
    "FL021": [
        ("a.toml", rule("cron=@daily&ofset=-6h"), (3, 21, 26)),
        ("a.toml", HEAD + 'rule = "cron=@daily&\\u006ffset =1h"\n', (3, 21, 31)),
        ("a.yaml", "phases:\n- task: t\n  rule: >-\n    cron=@daily\n    &ofset=1h\n", (5, 6, 11)),
        ("a.yaml", "phases:\n- task: t\n  rule: &an cron=@daily&ofset=1h\n", (3, 25, 30)),
        ("a.yaml", "phases:\n- task: t\n  rule: &an !!str 'cron=@daily&ofset=1h'\n", (3, 32, 37)),
    ],
    "FL023": [
        ("a.toml", rule("cron=@daily&priority=11"), (3, 30, 32)),
        ("a.toml", rule("cron=@daily&backoff=%30.5"), (3, 29, 34)),
        ("a.toml", HEAD + 'rule = {cron = "@daily", catchup = "al"}\n', (3, 36, 40)),
        ("a.toml", rule("cron=@daily&alert=evry"), (3, 27, 31)),
        ("a.toml", rule("cron=@daily&alert_to=on%20call"), (3, 30, 39)),
        ("a.toml", rule("cron=@daily&alert_to"), (3, 21, 29)),
    ],
    "FL024": [("a.toml", rule("cron=@daily&cron=@hourly"), (3, 21, 25))],
    "FL025": [("a.toml", rule("cron=@daily&job=50%&x=%e9"), (3, 27, 28))],
    "FL026": [("a.toml", rule("0 0 * * *"), (3, 9, 18))],
    "FL027": [
        ("a.toml", HEAD + "dependsOn = 't'\nrule = 'require:{meta:file}'\n", (4, 9, 28)),
        ("a.toml", rule("cron=@daily&meta=k:a|k2=1"), (3, 32, 33)),
        ("a.toml", rule("cron=@daily&no_alert=maybe"), (3, 30, 35)),
    ],
    "FL030": [
        ("a.toml", rule("cron=0 25 * * *"), (3, 16, 18)),
        ("a.toml", rule("cron=0%2025+*+*+*"), (3, 18, 20)),
        ("a.yaml", 'phases:\n- task: t\n  rule: "cron=0 \\u0032\\x35 * * *"\n', (3, 17, 27)),
    ],
    "FL031": [("a.toml", rule("cron=@daily&tz=Mars/Olympus"), (3, 24, 36))],
    "FL032": [
        ("a.toml", rule("cron=@daily&from=2026-02-30"), (3, 26, 36)),
        ("a.toml", rule("cron=@daily&until=soon"), (3, 27, 31)),
    ],
    "FL036": [("a.toml", rule("cron=@daily&from=2026-02-02&until=2026-02-01"), (3, 43, 53))],
    "FL040": [("a.toml", CRON + 'template = "\\\\{yyy}"\n', (4, 15, 20))],
    "FL041": [
        ("a.toml", rule("cron=@daily&require={meta:a b}"), (3, 29, 39)),
        ("a.toml", rule("require=file"), (3, 17, 21)),
    ],
    "FL042": [("a.toml", CRON + 'template = "?x={meta:x}"\n', (4, 16, 24))],
    "FL043": [("a.toml", rule("cron=@daily&require=x{meta:a}"), (3, 29, 38))],
    "FL050": [
        ("a.toml", rule("cron=@daily&offset=4"), (3, 28, 29)),
        ("a.toml", rule("cron=@daily&retry_delay=3x"), (3, 34, 35)),
    ],
    "FL051": [("a.toml", rule("cron=@daily&retry_delay=-5s"), (3, 33, 36))],
    "FL060": [
        ("a.toml", rule("cron=@daily&meta=k:1|abc"), (3, 30, 33)),
        ("a.toml", rule("cron=@daily&meta-file="), (3, 21, 30)),
    ],
    "FL061": [
        ("a.toml", rule("cron=@daily&meta=a:1,2|b:1"), (3, 26, 35)),
        ("a.toml", HEAD + "rule={meta='a:1,2|b:1'}", (3, 12, 23)),
    ],
    "FL062": [("a.toml", rule("cron=@daily&meta=a:1&meta_file=x"), (3, 30, 39))],
    "FL064": [("a.toml", rule("cron=@daily&for=-2d&by=hours"), (3, 32, 37))],
    "FL070": [
        ("a.toml", rule("files=/d/[x"), (3, 18, 20)),
        ("a.toml", HEAD + "rule = {files = ['/a', '[']}\n", (3, 25, 26)),
    ],
    "FL071": [("a.toml", rule("files=/d/a+b"), (3, 19, 20))],
    "FL076": [("a.toml", rule("cron=@daily&no_alert=false&no_alert"), (3, 36, 44))],
    "FL077": [
        ("a.toml", rule("cron=@daily&no_alert&alert=every"), (3, 30, 35)),
        ("a.toml", HEAD + 'rule = {alert = "none", no_alert = false}\n', (3, 25, 33)),
    ],
    "FL100": [
        ("a.toml", HEAD + 'dependsOn = "t"\n', (3, 13, 16)),
        ("a.toml", '[[phase]]\ntask="a:x"\ndependsOn="b"\n[[phase]]\ntask="b"\ndependsOn="a"\n', (3, 11, 14)),
    ],
    "FL101": [("a.toml", HEAD, (2, 8, 11))],
    "FL102": [("a.toml", HEAD + 'dependsOn = "nobody"\n', (3, 13, 21))],
    "FL104": [("a.toml", CRON + CRON, (5, 8, 11))],
    "FL105": [("a.toml", '[[phase]]\ntask = "retry-failed:again"\ndependsOn = "t"\n', (2, 8, 28))],
}
ELSEWHERE = {
    "FL001",
    "FL103",
    "FL200",
    "FL201",
    "FL202",
    "FL203",
    "FL204",
}  # of the loader and of the configuration
# Told by the checks for authors only, never at loading: tests/unit/test_spec_pages.py and test_spec_author.py.
AUTHOR = {
    "FL022", "FL028", "FL029", "FL033", "FL034", "FL035", "FL037", "FL038", "FL039", "FL044", "FL045", "FL046", "FL047",
    "FL048", "FL049", "FL052", "FL053", "FL063", "FL065", "FL066", "FL067", "FL068", "FL069", "FL072", "FL073", "FL074",
    "FL075", "FL080", "FL081", "FL082", "FL090", "FL091",
}  # fmt: skip


@pytest.mark.parametrize(
    ("code", "name", "text", "place"),
    [(code, *each) for code, several in EXAMPLES.items() for each in several],
)
def test_each_kind_of_problem_is_told_at_its_place(code, name, text, place):
    flow, problems = parse(text if isinstance(text, bytes) else text.encode(), name)
    found = [problem for problem in problems if problem.code == code]
    assert found, [str(problem) for problem in problems]
    assert (found[0].line, found[0].column, found[0].end) == place
    assert found[0].severity is CODES[code].severity
    assert (flow is None) == any(problem.severity is Severity.ERROR for problem in problems)


def test_every_code_of_the_registry_has_an_example():
    assert set(CODES) == set(EXAMPLES) | ELSEWHERE | AUTHOR
    assert not set(EXAMPLES) & AUTHOR
